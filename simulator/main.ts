import { parseArgs } from 'node:util';

import { seedCatalogue, seedSchema } from './seed.js';
import { startSimulator } from './server.js';
import type { SettingsChange } from './settings.js';
import { REALISTIC_DELAYS } from './settings.js';

const USAGE = `Starts a stand-in for Allegro, with an admin API under /_admin and a page at /.

  npm run simulator -- [--port 8080] [--host 127.0.0.1] [--accounts 2] [--offers 1000] [--seed 1]
                       [--realistic] [--rate 9000] [--settings JSON] [--json]

  --accounts, --offers, --seed   what to start with; the same seed gives the same offers (default: 2, 1000, 1)
  --realistic                    delays and latency of Allegro's size instead of those for tests
  --rate                         requests per 60 s and Client ID
  --settings                     any other setting, as JSON
  --json                         print one line of JSON when it is up`;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8080' },
    host: { type: 'string', default: '127.0.0.1' },
    accounts: { type: 'string', default: '2' },
    offers: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    realistic: { type: 'boolean', default: false },
    rate: { type: 'string' },
    settings: { type: 'string', default: '{}' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const rate: SettingsChange = values.rate === undefined ? {} : { applicationLimit: { requests: Number(values.rate) } };
const given: unknown = JSON.parse(values.settings);
const simulator = await startSimulator({
  port: Number(values.port),
  host: values.host,
  settings: { ...(values.realistic ? REALISTIC_DELAYS : {}), ...rate, ...(typeof given === 'object' ? given : {}) },
});
const seeded = seedCatalogue(
  simulator.state,
  seedSchema.parse({ seed: Number(values.seed), accounts: Number(values.accounts), offers: Number(values.offers) }),
);
if (values.json) {
  console.log(JSON.stringify({ url: simulator.url, pid: process.pid, ...seeded }));
} else {
  console.log(
    `Simulated Allegro at ${simulator.url}: ${seeded.accounts.length} accounts, ${seeded.offers} offers, ${seeded.skus} SKUs`,
  );
  console.log(`Stock of its warehouse: ${simulator.url}/_admin/stock.csv`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void simulator.stop().then(() => process.exit(0));
  });
}
