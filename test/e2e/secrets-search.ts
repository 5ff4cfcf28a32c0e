/** A text that the application gave out, and where. */
export interface Output {
  readonly name: string;
  readonly text: string;
}

/** Shorter words would be found by chance. */
const SHORTEST = 8;

/**
 * Where any of the secrets stands, as itself, URL-encoded, as JSON writes it, or inside something Base64: names of the
 * output and of the secret, never the secret.
 *
 * @param secrets by name
 */
export function findSecrets(outputs: readonly Output[], secrets: ReadonlyMap<string, string>): string[] {
  return [...secrets].flatMap(([name, secret]) => {
    if (secret.length < SHORTEST) throw new Error(`the secret "${name}" is too short to be searched for`);
    const forms = formsOf(secret);
    return outputs
      .filter(({ text }) => forms.some((form) => text.includes(form)))
      .map((one) => `${name} in ${one.name}`);
  });
}

function formsOf(secret: string): string[] {
  const plain = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
  const encoded = [0, 1, 2].flatMap((before) => [
    base64Core(secret, before, 'base64'),
    base64Core(secret, before, 'base64url'),
  ]);
  return [...new Set([...plain, ...encoded, Buffer.from(secret).toString('hex')])];
}

/**
 * The characters that the secret has in the Base64 of any longer text, when it begins `before` bytes after a multiple of
 * three: those at both ends hold bits of what stands beside it.
 */
function base64Core(secret: string, before: number, encoding: 'base64' | 'base64url'): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
  return whole.toString(encoding).slice(before === 0 ? 0 : 4);
}

/** All text in a message of Temporal's, its payloads decoded. */
export function textOf(message: unknown): string {
  if (typeof message === 'string') return `${message}\n`;
  if (message instanceof Uint8Array) return `${Buffer.from(message).toString('utf8')}\n`;
  if (typeof message !== 'object' || message === null) return '';
  return Object.values(message).map(textOf).join('');
}
