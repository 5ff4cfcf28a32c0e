import type { Clock } from './clock.js';
import type { EndingReason, IndexedState, Offer, OfferFields, OfferStatus } from './offer.js';
import { indexedState } from './offer.js';
import type { Settings } from './settings.js';

export interface Seller {
  readonly id: string;
  readonly login: string;
  /** Only business accounts may list or edit offers. */
  readonly isBusiness: boolean;
  /** Oldest first. */
  readonly offers: Offer[];
  readonly byExternalId: Map<string, Offer[]>;
  readonly countByStatus: Record<OfferStatus, number>;
  /** Rises with every change that the listing can show. */
  version: number;
  /** Some offer has been new or archived, so rows may be missing from the index. */
  mayHideOffers: boolean;
}

/** Who changed an offer: our API, a buyer, somebody at Allegro's own pages, or Allegro itself. */
export type Cause = 'api' | 'sale' | 'manual' | 'allegro';
export type ChangeListener = (offer: Offer, before: IndexedState, cause: Cause) => void;

interface IndexEntry {
  readonly dueAt: number;
  readonly offer: Offer;
  readonly version: number;
  readonly state: IndexedState;
}

const FIRST_OFFER_ID = 17_000_000_001;
const ARCHIVED_AFTER_MS = 60 * 24 * 3_600_000;

/** All sellers and offers as they truly are, and the index from which the listing is answered. */
export class Catalogue {
  readonly sellers = new Map<string, Seller>();
  readonly offers = new Map<string, Offer>();
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  #nextOfferId = FIRST_OFFER_ID;
  #index: IndexEntry[] = [];
  #listener: ChangeListener = () => undefined;

  constructor(clock: Clock, settings: () => Settings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  onChange(listener: ChangeListener): void {
    this.#listener = listener;
  }

  clear(): void {
    this.sellers.clear();
    this.offers.clear();
    this.#index = [];
    this.#nextOfferId = FIRST_OFFER_ID;
  }

  /** The seller of that id, made if there was none. */
  seller(id: string, fields: { login?: string | undefined; isBusiness?: boolean | undefined } = {}): Seller {
    const known = this.sellers.get(id);
    if (known) return known;
    const seller: Seller = {
      id,
      login: fields.login ?? `sklep_${id}`,
      isBusiness: fields.isBusiness ?? true,
      offers: [],
      byExternalId: new Map(),
      countByStatus: { INACTIVE: 0, ACTIVATING: 0, ACTIVE: 0, ENDED: 0 },
      version: 0,
      mayHideOffers: false,
    };
    this.sellers.set(id, seller);
    return seller;
  }

  /** @throws Error when the id is taken. */
  add(sellerId: string, fields: Partial<OfferFields> & { id?: string | undefined }, isNew = false): Offer {
    const id = fields.id ?? this.#freeId();
    if (this.offers.has(id)) throw new Error(`Offer ${id} exists already`);
    const seller = this.seller(sellerId);
    const offer = newOffer(id, sellerId, fields, this.#clock.now());
    this.offers.set(id, offer);
    seller.offers.push(offer);
    seller.countByStatus[offer.status] += 1;
    seller.version += 1;
    this.#addExternalId(seller, offer);
    if (this.#mayBeArchived(offer)) seller.mayHideOffers = true;
    if (isNew) this.#indexLater(seller, offer, { ...indexedState(offer), unlisted: true });
    return offer;
  }

  /** Changes the truth; the index follows after its lag. */
  change(offer: Offer, changes: Partial<OfferFields>, cause: Cause): void {
    const seller = this.seller(offer.sellerId);
    const before = indexedState(offer);
    Object.assign(offer, changes);
    offer.updatedAt = this.#clock.now();
    offer.version += 1;
    seller.countByStatus[before.status] -= 1;
    seller.countByStatus[offer.status] += 1;
    seller.version += 1;
    if (offer.externalId !== before.externalId) this.#addExternalId(seller, offer);
    if (this.#mayBeArchived(offer)) seller.mayHideOffers = true;
    this.#indexLater(seller, offer, before);
    this.#listener(offer, before, cause);
  }

  /** Ends an active or activating offer. */
  end(offer: Offer, endedBy: EndingReason, cause: Cause): void {
    const endedByApi = cause === 'api';
    this.change(offer, { status: 'ENDED', endedBy, endedByApi, endedAt: this.#clock.now() }, cause);
  }

  /** Puts an offer up (again). */
  activate(offer: Offer, cause: Cause): void {
    const startedAt = this.#clock.now();
    this.change(offer, { status: 'ACTIVE', endedBy: null, endedByApi: false, endedAt: null, startedAt }, cause);
  }

  /** Whether an offer answers 404: archived by hand, or ended 60 days ago (offer tutorial). */
  isArchived(offer: Offer): boolean {
    if (offer.archived) return true;
    return offer.status === 'ENDED' && offer.endedAt !== null && this.#clock.now() - offer.endedAt > ARCHIVED_AFTER_MS;
  }

  /** What the listing shows of an offer. */
  indexed(offer: Offer): IndexedState {
    return offer.frozen ?? offer.lagging ?? indexedState(offer);
  }

  /** Brings into the index what is old enough; to be called before reading it. */
  refreshIndex(): void {
    const now = this.#clock.now();
    let done = 0;
    for (const entry of this.#index) {
      if (entry.dueAt > now) break;
      done += 1;
      if (entry.offer.lagging === null) continue;
      entry.offer.lagging = entry.version === entry.offer.version ? null : entry.state;
      this.seller(entry.offer.sellerId).version += 1;
    }
    if (done > 0) this.#index = this.#index.slice(done);
  }

  /** From now on the listing shows the offer as given (by default: as it is now), whatever becomes of it. */
  freeze(offer: Offer, shown: Partial<IndexedState> = {}): void {
    offer.frozen = { ...indexedState(offer), ...shown };
    const seller = this.seller(offer.sellerId);
    if (offer.frozen.unlisted) seller.mayHideOffers = true;
    if (offer.frozen.externalId !== null) pushTo(seller.byExternalId, offer.frozen.externalId, offer);
    seller.version += 1;
  }

  thaw(offer: Offer): void {
    offer.frozen = null;
    this.seller(offer.sellerId).version += 1;
  }

  /** To be called when time has jumped: ended offers may have become archived by it. */
  expectArchived(): void {
    for (const seller of this.sellers.values()) {
      seller.mayHideOffers = true;
      seller.version += 1;
    }
  }

  /** Archived, or so long ended that it may become so while the simulator runs. */
  #mayBeArchived(offer: Offer): boolean {
    const endedLongAgo = offer.endedAt !== null && this.#clock.now() - offer.endedAt > ARCHIVED_AFTER_MS / 2;
    return offer.archived || endedLongAgo;
  }

  #freeId(): string {
    while (this.offers.has(String(this.#nextOfferId))) this.#nextOfferId += 1;
    return String(this.#nextOfferId++);
  }

  #indexLater(seller: Seller, offer: Offer, before: IndexedState): void {
    const lagMs = this.#settings().indexLagMs;
    if (lagMs === 0) {
      offer.lagging = null;
      return;
    }
    offer.lagging ??= before;
    if (offer.lagging.unlisted) seller.mayHideOffers = true;
    this.#index.push({
      dueAt: this.#clock.now() + lagMs,
      offer,
      version: offer.version,
      state: indexedState(offer),
    });
  }

  /** Old entries stay: readers check what the index shows, which may still be the old external id. */
  #addExternalId(seller: Seller, offer: Offer): void {
    if (offer.externalId !== null) pushTo(seller.byExternalId, offer.externalId, offer);
  }
}

function pushTo(map: Map<string, Offer[]>, key: string, offer: Offer): void {
  const known = map.get(key);
  if (!known) map.set(key, [offer]);
  else if (!known.includes(offer)) known.push(offer);
}

function newOffer(id: string, sellerId: string, fields: Partial<OfferFields>, now: number): Offer {
  const status = fields.status ?? 'ACTIVE';
  const available = fields.available ?? 10;
  return {
    id,
    sellerId,
    name: fields.name ?? null,
    externalId: fields.externalId ?? null,
    format: fields.format ?? 'BUY_NOW',
    status,
    available,
    sold: fields.sold ?? 0,
    initialStock: fields.initialStock ?? available,
    endedBy: fields.endedBy ?? (status === 'ENDED' ? 'USER' : null),
    endedByApi: fields.endedByApi ?? false,
    startedAt: fields.startedAt ?? (status === 'INACTIVE' || status === 'ACTIVATING' ? null : now - 86_400_000),
    endedAt: fields.endedAt ?? (status === 'ENDED' ? now - 3_600_000 : null),
    createdAt: fields.createdAt ?? now - 2 * 86_400_000,
    durationDays: fields.durationDays ?? null,
    republish: fields.republish ?? false,
    isFulfillment: fields.isFulfillment ?? false,
    archived: fields.archived ?? false,
    priceGrosze: fields.priceGrosze ?? 4999,
    rejection: fields.rejection ?? null,
    updatedAt: now,
    version: 0,
    editing: false,
    zeroByApi: false,
    lagging: null,
    frozen: null,
  };
}
