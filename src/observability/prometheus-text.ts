import got from 'got';
import type { Registry } from 'prom-client';

const SDK_TIMEOUT_MS = 2000;

/** Our own metrics and, where the Temporal SDK serves its own, those too, as one text. Never fails for the SDK's sake. */
export async function readPrometheusText(registry: Registry, sdkAddress: string | null): Promise<string> {
  const [own, sdk] = await Promise.all([registry.metrics(), readSdkText(sdkAddress)]);
  return [own, sdk].map((text) => text.trimEnd()).join('\n\n') + '\n';
}

async function readSdkText(address: string | null): Promise<string> {
  if (address === null) return '# The Temporal SDK serves no metrics here.';
  try {
    return await got(`http://${address}/metrics`, {
      timeout: { request: SDK_TIMEOUT_MS },
      retry: { limit: 0 },
    }).text();
  } catch {
    return '# The metrics of the Temporal SDK could not be read.';
  }
}
