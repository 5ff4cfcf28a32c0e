import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE = `Steers a running simulator and prints its answer as JSON.

  node --import tsx simulator/cli.ts COMMAND [--url http://127.0.0.1:8080] [options]

  seed [--offers 1000] [--accounts 2] [--seed 1]    replace everything by made-up offers
  sale OFFER_ID [--quantity 1]                      a buyer buys
  order CHECKOUT_FORM_ID EVENT                      what happens next to an order, e.g. BUYER_CANCELLED
  edit OFFER_ID JSON                                somebody edits the offer by hand, e.g. '{"available":3}'
  truth JSON                                        tell the true stock, e.g. '{"SKU-000001":3}'
  stock [--to FILE]                                 the warehouse as CSV, for import
  offers [--seller ID] [--limit 20]                 offers as they truly are
  tokens SELLER_ID                                  an access and a refresh token
  approve USER_CODE SELLER_ID | deny USER_CODE      answer a device authorization
  fault JSON | faults | heal                        plant a rule, e.g. '{"match":{"every":10},"fault":{"kind":"html"}}'; list; remove all
  settings [JSON]                                   show or change settings
  journal [--since N] [--limit 20] | report | reset

Example: node --import tsx simulator/cli.ts fault '{"match":{"route":"GET /sale/offers","times":1},"fault":{"kind":"truncate"}}'
Exit status: 0 done, 1 the simulator refused or is not there, 2 wrong usage.`;

interface AdminCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

interface Options {
  readonly offers: string;
  readonly accounts: string;
  readonly seed: string;
  readonly quantity: string;
  readonly seller?: string | undefined;
  readonly since: string;
  readonly limit: string;
}

/** What a command asks of the admin API; undefined where there is no such command. */
function toCall(
  command: string,
  [first = '', second = '']: readonly string[],
  options: Options,
): AdminCall | undefined {
  const whole = (text: string): number => Number(text);
  switch (command) {
    case 'seed':
      return {
        method: 'POST',
        path: 'seed',
        body: { seed: whole(options.seed), accounts: whole(options.accounts), offers: whole(options.offers) },
      };
    case 'sale':
      return { method: 'POST', path: 'sales', body: { offerId: first, quantity: whole(options.quantity) } };
    case 'order':
      return { method: 'POST', path: `orders/${first}`, body: { type: second } };
    case 'edit':
      return { method: 'PATCH', path: `offers/${first}`, body: json(second) };
    case 'truth':
      return first === ''
        ? { method: 'GET', path: 'truth' }
        : { method: 'PUT', path: 'truth', body: { skus: json(first) } };
    case 'stock':
      return { method: 'GET', path: 'stock.csv' };
    case 'offers': {
      const seller = options.seller === undefined ? '' : `&sellerId=${options.seller}`;
      return { method: 'GET', path: `offers?limit=${options.limit}${seller}` };
    }
    case 'tokens':
      return { method: 'POST', path: 'tokens', body: { sellerId: first } };
    case 'approve':
      return { method: 'POST', path: `device/${first}`, body: { decision: 'approve', sellerId: second } };
    case 'deny':
      return { method: 'POST', path: `device/${first}`, body: { decision: 'deny' } };
    case 'fault':
      return { method: 'POST', path: 'faults', body: json(first) };
    case 'faults':
      return { method: 'GET', path: 'faults' };
    case 'heal':
      return { method: 'DELETE', path: 'faults' };
    case 'settings':
      return first === ''
        ? { method: 'GET', path: 'settings' }
        : { method: 'PUT', path: 'settings', body: json(first) };
    case 'journal':
      return { method: 'GET', path: `journal?since=${options.since}&limit=${options.limit}` };
    case 'report':
      return { method: 'GET', path: 'report' };
    case 'reset':
      return { method: 'POST', path: 'report/reset' };
    default:
      return undefined;
  }
}

function json(text: string): unknown {
  return JSON.parse(text);
}

function failUsage(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function readCommand(): { call: AdminCall; url: string; to: string | undefined } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      offers: { type: 'string', default: '1000' },
      accounts: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      quantity: { type: 'string', default: '1' },
      seller: { type: 'string' },
      since: { type: 'string', default: '0' },
      limit: { type: 'string', default: '20' },
      to: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const [command = '', ...rest] = positionals;
  const call = toCall(command, rest, values);
  if (!call) throw new Error(command === '' ? 'Which command?' : `Unknown command: ${command}`);
  return { call, url: values.url.replace(/\/$/, ''), to: values.to };
}

async function send({ method, path, body }: AdminCall, url: string): Promise<string> {
  const response = await fetch(`${url}/_admin/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`The simulator answered ${response.status}: ${text}`);
  return response.headers.get('content-type') === 'application/json'
    ? `${JSON.stringify(JSON.parse(text), null, 2)}\n`
    : text;
}

let command: ReturnType<typeof readCommand>;
try {
  command = readCommand();
} catch (error) {
  failUsage(error instanceof Error ? error.message : String(error));
}
try {
  const text = await send(command.call, command.url);
  if (command.to === undefined) process.stdout.write(text);
  else writeFileSync(command.to, text);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
