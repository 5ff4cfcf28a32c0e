import { Catalogue } from './catalogue.js';
import { Clock } from './clock.js';
import { Commands } from './commands.js';
import { EventFeeds } from './events.js';
import { Faults } from './faults.js';
import { Journal } from './journal.js';
import { Judge } from './judge.js';
import { Lifecycle } from './lifecycle.js';
import { ApplicationLimit, SellerLimits } from './limits.js';
import { Listing } from './listing.js';
import { OAuth } from './oauth.js';
import { OfferCommands } from './offer-commands.js';
import { Operations } from './operations.js';
import { ProductOffers } from './product-offers.js';
import { Report } from './report.js';
import type { SellerResource, Settings } from './settings.js';
import { Tokens } from './tokens.js';
import { Truth } from './truth.js';

/** Everything the simulator holds. One process may run several, each with its own. */
export interface Simulation {
  settings: Settings;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly lifecycle: Lifecycle;
  readonly listing: Listing;
  readonly productOffers: ProductOffers;
  readonly operations: Operations;
  readonly offerCommands: OfferCommands;
  readonly quantityCommands: Commands;
  readonly publicationCommands: Commands;
  readonly bulkCommands: Commands;
  readonly events: EventFeeds;
  readonly tokens: Tokens;
  readonly oauth: OAuth;
  readonly applicationLimit: ApplicationLimit;
  readonly sellerLimits: SellerLimits;
  readonly faults: Faults;
  readonly journal: Journal;
  readonly report: Report;
  readonly truth: Truth;
}

export function createSimulation(initial: Settings): Simulation {
  const current = { settings: initial };
  const settings = (): Settings => current.settings;
  const clock = new Clock();
  const journal = new Journal();
  const report = new Report();
  const catalogue = new Catalogue(clock, settings);
  const events = new EventFeeds(clock, settings);
  catalogue.onChange((offer, before) => events.noteChange(offer, before));
  const lifecycle = new Lifecycle(catalogue, clock, settings);
  const truth = new Truth(clock, settings);
  const judge = new Judge({ truth, report, clock, settings });
  const operations = new Operations(clock, settings, report);
  const sellerLimits = new SellerLimits(settings);
  const tokens = new Tokens(clock, settings);
  const commands = (changes: SellerResource, taskShape: 'offer' | 'subject'): Commands =>
    new Commands({ clock, journal, report, sellerLimits, settings, changes, taskShape });
  const quantity = commands('quantityChanges', 'offer');
  const publication = commands('publicationChanges', 'offer');
  const bulk = commands('bulkChanges', 'subject');
  const parts = { catalogue, lifecycle, judge, report, settings };
  return Object.assign(current, {
    clock,
    catalogue,
    lifecycle,
    listing: new Listing(catalogue, settings),
    productOffers: new ProductOffers({ ...parts, operations, journal }),
    operations,
    offerCommands: new OfferCommands({ ...parts, quantity, publication, bulk }),
    quantityCommands: quantity,
    publicationCommands: publication,
    bulkCommands: bulk,
    events,
    tokens,
    oauth: new OAuth({ clock, tokens, report, settings }),
    applicationLimit: new ApplicationLimit(settings),
    sellerLimits,
    faults: new Faults(),
    journal,
    report,
    truth,
  });
}

/** Forgets sellers, offers, commands, events, the truth and everything scheduled; tokens, settings, faults and the journal stay. */
export function clearCatalogue(simulation: Simulation): void {
  simulation.clock.clear();
  simulation.catalogue.clear();
  simulation.operations.clear();
  simulation.quantityCommands.clear();
  simulation.publicationCommands.clear();
  simulation.bulkCommands.clear();
  simulation.events.clear();
  simulation.truth.clear();
}
