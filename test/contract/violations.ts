import { z } from 'zod';

import { matchRoute, routeTemplate } from '../../simulator/routes.js';
import type { Passage } from './relay.js';

const violationsSchema = z.array(
  z.object({ location: z.array(z.string()), message: z.string(), code: z.union([z.string(), z.number()]).optional() }),
);

/** Where a request or an answer breaks the document: `GET /me 200 response body.id`, with `*` for places in a list. */
export interface Violation {
  readonly place: string;
  readonly message: string;
}

/** `PATCH /sale/product-offers/{offerId} 202`. */
export function exchangeName({ method, path, status }: Passage): string {
  const route = matchRoute(method, path.split('?')[0] ?? '');
  return `${method} ${route ? routeTemplate(route.name) : path} ${status}`;
}

/** What Prism says of an exchange, in the header of its answer. */
export function violationsOf(passage: Passage): Violation[] {
  const header = passage.answerHeaders['sl-violations'];
  if (header === undefined) return [];
  const text = Array.isArray(header) ? header.join() : header;
  const parsed = violationsSchema.safeParse(parseJson(text));
  const exchange = exchangeName(passage);
  // More than a header holds: cut off, so no JSON.
  if (!parsed.success) return [{ place: `${exchange} (many)`, message: text.slice(0, 2000) }];
  return parsed.data.map(({ location, message }) => {
    const [side = '', ...steps] = location;
    const [, unknownField] = /additional properties; found '(.+)'$/.exec(message) ?? [];
    const path = unknownField === undefined ? steps : [...steps, unknownField];
    const field = path.map((step) => (/^\d+$/.test(step) ? '*' : step)).join('.');
    return { place: `${exchange} ${side} ${field}`.trim(), message };
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
