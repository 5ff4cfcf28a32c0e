/** The part of Allegro's REST API that is simulated: template, methods, scope, and the media type asked for. */
const ROUTES = {
  me: { template: '/me', scope: 'allegro:api:profile:read' },
  listOffers: { template: '/sale/offers', scope: 'allegro:api:sale:offers:read' },
  getOffer: { template: '/sale/product-offers/{offerId}', scope: 'allegro:api:sale:offers:read' },
  patchOffer: { template: '/sale/product-offers/{offerId}', scope: 'allegro:api:sale:offers:write' },
  getParts: { template: '/sale/product-offers/{offerId}/parts', scope: 'allegro:api:sale:offers:read' },
  getOperation: {
    template: '/sale/product-offers/{offerId}/operations/{operationId}',
    scope: 'allegro:api:sale:offers:read',
  },
  putQuantityCommand: {
    template: '/sale/offer-quantity-change-commands/{commandId}',
    scope: 'allegro:api:sale:offers:write',
  },
  getQuantityCommand: {
    template: '/sale/offer-quantity-change-commands/{commandId}',
    scope: 'allegro:api:sale:offers:write',
  },
  getQuantityTasks: {
    template: '/sale/offer-quantity-change-commands/{commandId}/tasks',
    scope: 'allegro:api:sale:offers:write',
  },
  putPublicationCommand: {
    template: '/sale/offer-publication-commands/{commandId}',
    scope: 'allegro:api:sale:offers:write',
  },
  getPublicationCommand: {
    template: '/sale/offer-publication-commands/{commandId}',
    scope: 'allegro:api:sale:offers:write',
  },
  getPublicationTasks: {
    template: '/sale/offer-publication-commands/{commandId}/tasks',
    scope: 'allegro:api:sale:offers:write',
  },
  postBulkCommand: { template: '/sale/offer-bulk-modification-commands', scope: 'allegro:api:sale:offers:write' },
  getBulkCommand: {
    template: '/sale/offer-bulk-modification-commands/{commandId}',
    scope: 'allegro:api:sale:offers:write',
  },
  getBulkTasks: {
    template: '/sale/offer-bulk-modification-commands/{commandId}/tasks',
    scope: 'allegro:api:sale:offers:write',
  },
  listOfferEvents: { template: '/sale/offer-events', scope: 'allegro:api:sale:offers:read' },
  listOrderEvents: { template: '/order/events', scope: 'allegro:api:orders:read' },
  getOrderEventStats: { template: '/order/event-stats', scope: 'allegro:api:orders:read' },
} as const;

export type RouteName = keyof typeof ROUTES;

/** A route that was asked for, with the ids of its path (empty where the route has none). */
export interface MatchedRoute {
  readonly name: RouteName;
  readonly offerId: string;
  readonly operationId: string;
  readonly commandId: string;
}

export function routeTemplate(name: RouteName): string {
  return ROUTES[name].template;
}

export function routeScope(name: RouteName): string {
  return ROUTES[name].scope;
}

/** @returns undefined for what is not (or no longer) part of Allegro's API as simulated. */
export function matchRoute(method: string, path: string): MatchedRoute | undefined {
  const segments = path.split('/');
  const [, first = '', second = '', id = '', part = '', operationId = ''] = segments;
  const depth = segments.length - 1;
  if (first === 'me' && depth === 1) return method === 'GET' ? matched('me') : undefined;
  if (first === 'order' && depth === 2 && method === 'GET') {
    if (second === 'events') return matched('listOrderEvents');
    return second === 'event-stats' ? matched('getOrderEventStats') : undefined;
  }
  if (first !== 'sale') return undefined;
  switch (second) {
    case 'offers':
      return depth === 2 && method === 'GET' ? matched('listOffers') : undefined;
    case 'offer-events':
      return depth === 2 && method === 'GET' ? matched('listOfferEvents') : undefined;
    case 'product-offers':
      return matchProductOffer(method, { depth, id, part, operationId });
    case 'offer-quantity-change-commands':
      return matchCommand(method, { depth, id, part }, [
        'putQuantityCommand',
        'getQuantityCommand',
        'getQuantityTasks',
      ]);
    case 'offer-publication-commands':
      return matchCommand(method, { depth, id, part }, [
        'putPublicationCommand',
        'getPublicationCommand',
        'getPublicationTasks',
      ]);
    case 'offer-bulk-modification-commands':
      if (depth === 2) return method === 'POST' ? matched('postBulkCommand') : undefined;
      return method === 'GET'
        ? matchCommand(method, { depth, id, part }, ['postBulkCommand', 'getBulkCommand', 'getBulkTasks'])
        : undefined;
    default:
      return undefined;
  }
}

function matchProductOffer(
  method: string,
  path: { depth: number; id: string; part: string; operationId: string },
): MatchedRoute | undefined {
  const { depth, id: offerId, part, operationId } = path;
  if (depth === 3 && method === 'GET') return matched('getOffer', { offerId });
  if (depth === 3 && method === 'PATCH') return matched('patchOffer', { offerId });
  if (method !== 'GET') return undefined;
  if (depth === 4 && part === 'parts') return matched('getParts', { offerId });
  if (depth === 5 && part === 'operations') return matched('getOperation', { offerId, operationId });
  return undefined;
}

function matchCommand(
  method: string,
  path: { depth: number; id: string; part: string },
  [write, read, tasks]: readonly [RouteName, RouteName, RouteName],
): MatchedRoute | undefined {
  const commandId = path.id;
  if (path.depth === 3 && method === 'PUT') return matched(write, { commandId });
  if (path.depth === 3 && method === 'GET') return matched(read, { commandId });
  if (path.depth === 4 && path.part === 'tasks' && method === 'GET') return matched(tasks, { commandId });
  return undefined;
}

function matched(name: RouteName, ids: Partial<Omit<MatchedRoute, 'name'>> = {}): MatchedRoute {
  return { name, offerId: ids.offerId ?? '', operationId: ids.operationId ?? '', commandId: ids.commandId ?? '' };
}
