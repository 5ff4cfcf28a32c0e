export { housekeeping } from './housekeeping.js';
export { syncAccount } from './sync-account.js';
export { syncAllAccounts } from './sync-all-accounts.js';
