import { createLoadAccounts, createNotify, createRecordTick } from './accounts.js';
import { createAwaitRateLimit } from './await-rate-limit.js';
import { createCloseRun } from './close-run.js';
import { createCheckCommands } from './check-commands.js';
import { createConfirmSales } from './confirm-sales.js';
import { withFailures } from './failures.js';
import { beating } from './heartbeat.js';
import { createHousekeep } from './housekeep.js';
import { createOpenRun } from './open-run.js';
import { createCheckGuards, createPlanWrites } from './plan-writes.js';
import { createScanOffers } from './scan-offers.js';
import type { ActivityServices } from './services.js';
import { createGiveUpCommand, createSubmitCommand } from './submit-command.js';
import { createRejectOffer, createUpdateOfferBatch, createUpdateOfferStock } from './update-offers.js';

/** Activities that use the database and Redis only: they run on the workflows' task queue. */
export function createActivities(services: ActivityServices) {
  return {
    loadAccounts: withFailures(beating(createLoadAccounts(services))),
    recordTick: withFailures(beating(createRecordTick(services))),
    awaitRateLimit: withFailures(beating(createAwaitRateLimit(services))),
    checkGuards: withFailures(beating(createCheckGuards(services))),
    planWrites: withFailures(beating(createPlanWrites(services))),
    rejectOffer: withFailures(beating(createRejectOffer(services))),
    giveUpCommand: withFailures(beating(createGiveUpCommand(services))),
    closeRun: withFailures(beating(createCloseRun(services))),
    notify: withFailures(beating(createNotify(services))),
    housekeep: withFailures(beating(createHousekeep(services))),
  };
}

/** Activities that send requests to the marketplace: a task queue of their own bounds the requests in flight. */
export function createMarketplaceActivities(services: ActivityServices) {
  return {
    openRun: withFailures(beating(createOpenRun(services))),
    scanOffers: withFailures(createScanOffers(services)),
    confirmSales: withFailures(createConfirmSales(services)),
    submitCommand: withFailures(createSubmitCommand(services)),
    checkCommands: withFailures(createCheckCommands(services)),
    updateOfferBatch: withFailures(createUpdateOfferBatch(services)),
    updateOfferStock: withFailures(createUpdateOfferStock(services)),
  };
}

export type Activities = ReturnType<typeof createActivities>;
export type MarketplaceActivities = ReturnType<typeof createMarketplaceActivities>;
