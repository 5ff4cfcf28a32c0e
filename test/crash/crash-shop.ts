import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewOffer } from '../../simulator/admin-requests.js';
import type { TrueOffer } from '../../simulator/admin-client.js';
import type { Application } from '../../src/local/application.js';

/** What else goes wrong in a shop. */
export interface Trouble {
  /** No sending of the command has an answer, or arrives. */
  readonly isCommandLost?: boolean;
  /** The offer that ends may not be set to 0, so that it is ended by command. */
  readonly isZeroRefused?: boolean;
}

/** A small shop in which a run has everything to do that there is: small, so that much of it can be killed. */
export interface CrashShop {
  readonly accountId: string;
  readonly sellerId: string;
  /** Refused at the first write, taken at the second. */
  readonly retriedOffer: string;
  /** Refused at every write: told. */
  readonly stubbornOffer: string;
  /** Its refusal of the retried and the stubborn offer, and what else is asked for; planted after whatever else is. */
  plantRefusals(more: Trouble): Promise<void>;
  /** What is not as it should be, offer by offer. */
  findWrong(): Promise<string[]>;
  offers(): Promise<TrueOffer[]>;
}

/** Writes to one offer before it is given up. */
export const RETRIES = 1;

interface Expected {
  readonly offer: Omit<NewOffer, 'sellerId'>;
  /** null: not in the stock. */
  readonly stock: number | null;
  readonly becomes: { readonly status: string; readonly available: number | null };
}

const ACTIVE = { status: 'ACTIVE' } as const;

function plan(hasMassEnding: boolean): Expected[] {
  const running = (name: string, available: number, stock: number, becomes = stock): Expected => ({
    offer: { ...ACTIVE, externalId: name, available },
    stock,
    becomes: { status: 'ACTIVE', available: becomes },
  });
  const ended: Expected['becomes'] = { status: 'ENDED', available: null };
  return [
    // Many of one number: a command.
    ...Array.from({ length: 12 }, (_, index) => running(`SAME-${index}`, 10, 7)),
    running('LOWER', 9, 3),
    running('RAISE', 2, 6),
    running('RETRIED', 8, 5),
    running('STUBBORN', 8, 4, 8),
    running('RIGHT', 4, 4),
    hasMassEnding ? running('ENDS', 6, 0, 6) : { ...running('ENDS', 6, 0), becomes: ended },
    ...(hasMassEnding ? Array.from({ length: 14 }, (_, index) => running(`EMPTY-${index}`, 5, 0, 5)) : []),
    {
      offer: {
        externalId: 'RETURNS',
        status: 'ENDED',
        endedBy: 'EMPTY_STOCK',
        available: 0,
        endedAt: Date.now() - 3_600_000,
      },
      stock: 4,
      becomes: { status: 'ACTIVE', available: 4 },
    },
    {
      offer: { externalId: 'DRAFT', status: 'INACTIVE', available: 1 },
      stock: 9,
      becomes: { status: 'INACTIVE', available: 1 },
    },
    {
      offer: { ...ACTIVE, externalId: 'UNKNOWN', available: 3 },
      stock: null,
      becomes: { status: 'ACTIVE', available: 3 },
    },
  ];
}

/** Opens the shop, tells its stock to both sides, and logs its account in. */
export async function openCrashShop(
  { admin, runClient }: Application,
  place: { readonly accountId: string; readonly sellerId: string; readonly hasMassEnding: boolean },
): Promise<CrashShop> {
  const { accountId, sellerId } = place;
  const skuOf = (name: string): string => `${accountId}-${name}`;
  const expected = plan(place.hasMassEnding);
  const added = await admin.addOffers(
    expected.map(({ offer }) => ({ ...offer, sellerId, externalId: skuOf(offer.externalId ?? '') })),
  );
  const stock = Object.fromEntries(
    expected.flatMap(({ offer, stock: quantity }): [string, number][] =>
      quantity === null ? [] : [[skuOf(offer.externalId ?? ''), quantity]],
    ),
  );
  await admin.setTruth({ skus: stock });
  const run = async (args: readonly string[], stdin?: string): Promise<void> => {
    const { status, stderr } = await runClient(args, stdin === undefined ? {} : { stdin });
    if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  };
  const file = join(tmpdir(), `crash-shop-${randomUUID()}.csv`);
  await writeFile(file, ['sku,quantity', ...Object.entries(stock).map((row) => row.join(','))].join('\n'));
  await run(['stock', 'import', file]);
  await rm(file);
  const { refreshToken } = await admin.issueTokens({ sellerId, clientId: 'local-client' });
  const account = ['accounts', 'add', accountId, '--name', accountId, '--mode', 'live', '--refresh-token-stdin'];
  await run(account, refreshToken);

  const idOf = (name: string): string => added.find(({ externalId }) => externalId === skuOf(name))?.id ?? '';
  const offers = async (): Promise<TrueOffer[]> => (await admin.offers({ sellerId })).offers;
  const patch = 'PATCH /sale/product-offers/{offerId}';
  const command = 'PUT /sale/offer-quantity-change-commands/{commandId}';
  const conflict = { kind: 'status', status: 409 } as const;
  return {
    accountId,
    sellerId,
    retriedOffer: idOf('RETRIED'),
    stubbornOffer: idOf('STUBBORN'),
    offers,
    async plantRefusals({ isCommandLost = false, isZeroRefused = false }) {
      await admin.plantFault({ match: { route: patch, offerId: idOf('RETRIED'), nth: 1 }, fault: conflict });
      await admin.plantFault({ match: { route: patch, offerId: idOf('STUBBORN') }, fault: conflict });
      if (isCommandLost) await admin.plantFault({ match: { route: command, sellerId }, fault: { kind: 'cutBefore' } });
      if (!isZeroRefused) return;
      await admin.plantFault({
        match: { route: patch, offerId: idOf('ENDS') },
        fault: { kind: 'status', status: 403 },
      });
    },
    async findWrong() {
      const now = new Map((await offers()).map((offer) => [offer.externalId, offer]));
      return expected.flatMap(({ offer, becomes }) => {
        const found = now.get(skuOf(offer.externalId ?? ''));
        const isRight =
          found?.status === becomes.status && (becomes.available === null || found.available === becomes.available);
        return isRight
          ? []
          : [
              `${offer.externalId ?? ''} is ${found?.status ?? 'gone'} with ${found?.available ?? '-'}, not ${becomes.status} with ${becomes.available ?? 'any'}`,
            ];
      });
    },
  };
}
