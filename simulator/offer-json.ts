import type { IndexedState, Offer } from './offer.js';
import { hashText } from './random.js';

const GOODS = [
  'Kubek ceramiczny',
  'Lampka biurkowa',
  'Plecak miejski',
  'Zestaw śrubokrętów',
  'Koc wełniany',
  'Żarówka LED',
];
const TRAITS = ['duży czarny', 'mały biały', 'dębowy jasny', 'na prezent', 'do domu', 'wersja podróżna'];
const CATEGORIES = ['257931', '20585', '1429', '260019', '112711'];
const SHIPPING_RATES = '5c7bbf8b-b294-4737-bbda-894320c413b8';
const RETURN_POLICY = '09f0b4cc-7880-11e9-8f9e-2a86e4085a59';

export function offerName(offer: Offer): string {
  if (offer.name !== null) return offer.name;
  const hash = hashText(offer.id);
  return `${pick(GOODS, hash)} ${pick(TRAITS, hash >>> 8)} ${offer.id.slice(-6)}`;
}

/** A text as JSON of ASCII characters alone: a page stays a one-byte string, which is sent several times faster. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/g, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** The names of made-up offers without their number, ready for a row. */
const NAME_STARTS = GOODS.flatMap((goods) => TRAITS.map((trait) => asciiJson(`${goods} ${trait} `).slice(0, -1)));

function nameJson(offer: Offer, hash: number): string {
  if (offer.name !== null) return asciiJson(offer.name);
  return `${NAME_STARTS[(hash % GOODS.length) * TRAITS.length + ((hash >>> 8) % TRAITS.length)] ?? '"'}${offer.id.slice(-6)}"`;
}

/** Whether this row shows the nulls that the offer tutorial shows and the API document does not allow: every third offer where only some do. */
export function showsNulls(offer: Offer, nulls: 'none' | 'some' | 'all'): boolean {
  return nulls === 'all' || (nulls === 'some' && hashText(offer.id) % 3 === 0);
}

/**
 * A row of `GET /sale/offers` as JSON text: written by hand, since a page has 1000 of them and must take a few milliseconds.
 * `endedBy` and `republish` are not in it (allegro-api #8675).
 */
export function listingRow(offer: Offer, shown: IndexedState, withNulls: boolean): string {
  const hash = hashText(offer.id);
  const price = `{"amount":"${amount(offer.priceGrosze)}","currency":"PLN"}`;
  const external =
    shown.externalId !== null
      ? `"external":{"id":${asciiJson(shown.externalId)}},`
      : withNulls
        ? '"external":null,'
        : '';
  const isAuction = shown.format === 'AUCTION';
  const auctionPrice = isAuction ? `,"startingPrice":${price}` : '';
  const sellingNulls = withNulls ? ',"minimalPrice":null' : '';
  const saleInfo = isAuction
    ? `"saleInfo":{"currentPrice":${price},"biddersCount":${hash % 5}},`
    : withNulls
      ? '"saleInfo":{"currentPrice":null,"biddersCount":0},'
      : '';
  return (
    `{"id":"${offer.id}","name":${nameJson(offer, hash)},"category":{"id":"${pick(CATEGORIES, hash)}"},` +
    `"primaryImage":{"url":"https://a.allegroimg.com/original/${(hash >>> 4).toString(16)}/${offer.id}"},` +
    `"sellingMode":{"format":"${shown.format}","price":${price}${isAuction ? auctionPrice : sellingNulls}},${saleInfo}` +
    `"stock":{"available":${shown.available},"sold":${shown.sold}},` +
    `"stats":{"watchersCount":${hash % 40},"visitsCount":${hash % 900}},` +
    `"publication":{"status":"${shown.status}"${times(offer, shown, withNulls)},` +
    `"marketplaces":{"base":{"id":"allegro-pl"},"additional":[{"id":"allegro-cz"}]}},` +
    `"afterSalesServices":{"returnPolicy":{"id":"${RETURN_POLICY}"}},${withNulls ? '"additionalServices":null,' : ''}` +
    `${external}"delivery":{"shippingRates":{"id":"${SHIPPING_RATES}"}},"b2b":{"buyableOnlyByBusiness":false},` +
    `"isFulfillment":${shown.isFulfillment},"additionalMarketplaces":{"allegro-cz":{"publication":{"state":"APPROVED"},` +
    `"sellingMode":{"price":{"amount":"${amount(offer.priceGrosze * 6)}","currency":"CZK"}},"stock":{"sold":0}}}}`
  );
}

function times(offer: Offer, shown: IndexedState, withNulls: boolean): string {
  const endingAt = plannedEnding(offer, shown.startedAt);
  return (
    (withNulls ? ',"startingAt":null' : '') +
    timeField('startedAt', shown.startedAt, false) +
    timeField('endingAt', endingAt, false) +
    timeField('endedAt', shown.endedAt, withNulls)
  );
}

function timeField(name: string, at: number | null, withNulls: boolean): string {
  if (at !== null) return `,"${name}":"${new Date(at).toISOString()}"`;
  return withNulls ? `,"${name}":null` : '';
}

/** The body of `GET /sale/product-offers/{id}` and of edits. */
export function productOfferJson(offer: Offer): string {
  const hash = hashText(offer.id);
  const name = offerName(offer);
  const price = { amount: amount(offer.priceGrosze), currency: 'PLN' };
  const endingAt = plannedEnding(offer, offer.startedAt);
  const isDraft = offer.status === 'INACTIVE';
  return JSON.stringify({
    id: offer.id,
    name,
    productSet: [
      {
        quantity: { value: 1 },
        product: { id: productId(hash), publication: { status: 'LISTED' }, parameters: [], isAiCoCreated: false },
        responsiblePerson: null,
        responsibleProducer: null,
        safetyInformation: null,
        marketedBeforeGPSRObligation: null,
      },
    ],
    parameters: [{ id: '11323', name: 'Stan', values: ['Nowy'], valuesIds: ['11323_1'], rangeValue: null }],
    images: [`https://a.allegroimg.com/original/${(hash >>> 4).toString(16)}/${offer.id}`],
    afterSalesServices: { returnPolicy: { id: RETURN_POLICY } },
    payments: { invoice: 'VAT' },
    sellingMode: {
      format: offer.format,
      price,
      minimalPrice: null,
      startingPrice: offer.format === 'AUCTION' ? price : null,
    },
    stock: { available: offer.available, unit: 'UNIT' },
    location: { countryCode: 'PL', province: 'WIELKOPOLSKIE', city: 'Poznań', postCode: '60-166' },
    delivery: {
      shippingRates: { id: SHIPPING_RATES },
      handlingTime: 'PT24H',
      additionalInfo: null,
      shipmentDate: null,
    },
    description: {
      sections: [
        { items: [{ type: 'TEXT', content: `<p>${name.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</p>` }] },
      ],
    },
    ...(offer.externalId === null ? {} : { external: { id: offer.externalId } }),
    category: { id: pick(CATEGORIES, hash) },
    sizeTable: null,
    taxSettings: null,
    messageToSellerSettings: null,
    fundraisingCampaign: null,
    additionalServices: null,
    compatibilityList: null,
    contact: null,
    attachments: [],
    b2b: { buyableOnlyByBusiness: false },
    discounts: { wholesalePriceList: null },
    publication: {
      duration: offer.durationDays === null ? null : `PT${offer.durationDays * 24}H`,
      status: offer.status,
      endedBy: offer.endedBy,
      endingAt: endingAt === null ? null : new Date(endingAt).toISOString(),
      republish: offer.republish,
      marketplaces: { base: { id: 'allegro-pl' }, additional: [{ id: 'allegro-cz' }] },
    },
    additionalMarketplaces: {
      'allegro-cz': {
        sellingMode: { price: { amount: amount(offer.priceGrosze * 6), currency: 'CZK' } },
        publication: { state: 'APPROVED', refusalReasons: [] },
      },
    },
    language: 'pl-PL',
    validation: {
      errors: isDraft && offer.rejection ? [validationError(offer)] : [],
      warnings: [],
      validatedAt: new Date(offer.updatedAt).toISOString(),
    },
    createdAt: new Date(offer.createdAt).toISOString(),
    updatedAt: new Date(offer.updatedAt).toISOString(),
  });
}

/** The body of `GET …/parts`; null for what was not asked for. */
export function partsJson(offer: Offer, parts: readonly string[]): string {
  return JSON.stringify({
    id: offer.id,
    ...(parts.includes('stock') ? { stock: { available: offer.available } } : {}),
    ...(parts.includes('price')
      ? {
          sellingMode: { price: { amount: amount(offer.priceGrosze), currency: 'PLN' } },
          additionalMarketplaces: {
            'allegro-cz': { sellingMode: { price: { amount: amount(offer.priceGrosze * 6), currency: 'CZK' } } },
          },
        }
      : {}),
  });
}

export function amount(grosze: number): string {
  return (grosze / 100).toFixed(2);
}

function validationError(offer: Offer): object {
  return {
    code: offer.rejection?.code,
    details: null,
    message: offer.rejection?.message,
    path: offer.rejection?.path,
    userMessage: offer.rejection?.message,
  };
}

function plannedEnding(offer: Offer, startedAt: number | null): number | null {
  return offer.durationDays === null || startedAt === null ? null : startedAt + offer.durationDays * 86_400_000;
}

function productId(hash: number): string {
  const hex = hash.toString(16).padStart(8, '0');
  return `${hex}-9cb6-41e9-a2a3-${hex}b7e4`;
}

function pick(values: readonly string[], hash: number): string {
  return values[(hash >>> 0) % values.length] ?? '';
}
