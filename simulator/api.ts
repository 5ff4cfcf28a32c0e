import type { IncomingHttpHeaders } from 'node:http';

import type { Answer } from './answer.js';
import { authErrorAnswer, BETA_MEDIA_TYPE, errorAnswer, jsonAnswer, PUBLIC_MEDIA_TYPE } from './answer.js';
import type { ApiCall } from './call.js';
import type { Seller } from './catalogue.js';
import { tooManyRequests } from './commands.js';
import type { FeedBend } from './events.js';
import type { JournalEntry } from './journal.js';
import type { MatchedRoute, RouteName } from './routes.js';
import { routeScope } from './routes.js';
import type { SellerResource } from './settings.js';
import type { Simulation } from './simulation.js';
import type { TokenCheck } from './tokens.js';

/** A request to the API host, read in full. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly baseUrl: string;
  readonly route: MatchedRoute | undefined;
  readonly token: string | undefined;
  readonly check: TokenCheck;
  readonly entry: JournalEntry;
  readonly stallMs: number;
  readonly bend: FeedBend;
}

/** Limits per seller that are known before the body is read; commands take theirs when they know their size. */
const SELLER_RESOURCES: Partial<Record<RouteName, SellerResource>> = {
  patchOffer: 'offerEdits',
  getOffer: 'offerReads',
  getParts: 'partReads',
};

/** Answers a request by the rules of Allegro's API: route, user agent, token, media types, scope, limits, then the resource. */
export function answerApi(simulation: Simulation, request: ApiRequest): Answer {
  const { route } = request;
  if (!route) return unknownRoute(simulation, request);
  const answer = answerKnown(simulation, request, route);
  // By the document, errors of this resource alone are of the plain type.
  return route.name === 'listOfferEvents' && answer.status >= 400
    ? { ...answer, contentType: 'application/json' }
    : answer;
}

function answerKnown(simulation: Simulation, request: ApiRequest, route: MatchedRoute): Answer {
  const { entry } = request;
  if (simulation.settings.rejectBadUserAgent && !entry.userAgentOk) {
    return errorAnswer(403, 'InvalidUserAgentException', 'The User-Agent header does not have the required format');
  }
  const denied = checkToken(request);
  if (denied) return denied;
  if (request.check.kind !== 'valid') return unauthorized('invalid_token', 'Invalid access token');
  const wrongMedia = checkMediaTypes(simulation, request, route.name);
  if (wrongMedia) return wrongMedia;
  const { sellerId, scopes } = request.check;
  if (sellerId === '')
    return errorAnswer(403, 'AccessDeniedException', 'Access is denied: the token has no user context');
  if (!scopes.includes(routeScope(route.name))) {
    return errorAnswer(403, 'AccessDeniedException', `Access is denied: missing scope ${routeScope(route.name)}`);
  }
  const seller = simulation.catalogue.seller(sellerId);
  if (!seller.isBusiness && request.path.startsWith('/sale/')) {
    return errorAnswer(403, 'OfferAccessDeniedException', 'Only business accounts may manage offers');
  }
  const resource = SELLER_RESOURCES[route.name];
  const now = simulation.clock.now();
  if (resource && !simulation.sellerLimits.take(sellerId, resource, now)) return tooManyRequests();
  const answer = answerRoute(simulation, request, { ...toCall(request, seller), route });
  const { failedEditWeight } = simulation.settings;
  if (resource === 'offerEdits' && answer.status >= 400 && failedEditWeight > 1) {
    simulation.sellerLimits.take(sellerId, resource, now, failedEditWeight - 1);
  }
  return answer;
}

function toCall(request: ApiRequest, seller: Seller): Omit<ApiCall, 'route'> {
  const { query, body, baseUrl, entry, stallMs } = request;
  return { seller, query, body, baseUrl, entry, stallMs };
}

function answerRoute(simulation: Simulation, request: ApiRequest, call: ApiCall): Answer {
  const { productOffers, offerCommands, quantityCommands, publicationCommands, bulkCommands, events } = simulation;
  switch (call.route.name) {
    case 'me':
      return me(call.seller);
    case 'listOffers':
      return listOffers(simulation, call);
    case 'getOffer':
      return productOffers.get(call);
    case 'patchOffer':
      return productOffers.patch(call);
    case 'getParts':
      return productOffers.getParts(call);
    case 'getOperation':
      return simulation.operations.answer(call);
    case 'putQuantityCommand':
      return offerCommands.putQuantity(call);
    case 'getQuantityCommand':
      return quantityCommands.answerReport(call);
    case 'getQuantityTasks':
      return quantityCommands.answerTasks(call);
    case 'putPublicationCommand':
      return offerCommands.putPublication(call);
    case 'getPublicationCommand':
      return publicationCommands.answerReport(call);
    case 'getPublicationTasks':
      return publicationCommands.answerTasks(call);
    case 'postBulkCommand':
      return { contentType: BETA_MEDIA_TYPE, ...offerCommands.postBulk(call) };
    case 'getBulkCommand':
      return bulkCommands.answerReport(call);
    case 'getBulkTasks':
      return bulkCommands.answerTasks(call);
    case 'listOfferEvents':
      return events.answerOfferEvents(call.seller.id, new URLSearchParams(call.query), request.bend);
    case 'listOrderEvents':
      return events.answerOrderEvents(call.seller.id, new URLSearchParams(call.query), request.bend);
    case 'getOrderEventStats':
      return events.answerOrderStats(call.seller.id);
  }
}

function listOffers(simulation: Simulation, call: ApiCall): Answer {
  const parameters = new URLSearchParams(call.query);
  for (const kind of simulation.listing.mistakes(parameters))
    simulation.report.noteMistake(kind, call.query.slice(0, 200));
  const answer = simulation.listing.answer(call.seller, parameters);
  if (answer.status === 400) simulation.report.noteMistake('listing_with_wrong_parameter', call.query.slice(0, 200));
  return answer;
}

function me(seller: Seller): Answer {
  return jsonAnswer(200, {
    id: seller.id,
    login: seller.login,
    firstName: 'Jan',
    lastName: 'Kowalski',
    email: `${seller.login}@example.com`,
    company: seller.isBusiness
      ? { name: `${seller.login} sp. z o.o.`, taxId: '5252674798' }
      : { name: null, taxId: null },
    features: seller.isBusiness ? ['SUPER_SELLER'] : [],
    baseMarketplace: { id: 'allegro-pl' },
  });
}

/** The single offer of old is answered 403 (allegro-api #13455), the rest 404. */
function unknownRoute(simulation: Simulation, { method, path }: ApiRequest): Answer {
  simulation.report.noteMistake('unknown_route', `${method} ${path}`);
  if (/^\/sale\/offers\/[^/]+$/.test(path)) return errorAnswer(403, 'AccessDeniedException', 'Access is denied');
  return errorAnswer(404, 'NotFoundException', `No such resource: ${method} ${path}`);
}

function checkToken({ token, check }: ApiRequest): Answer | undefined {
  if (token === undefined) {
    return unauthorized('unauthorized', 'Full authentication is required to access this resource');
  }
  switch (check.kind) {
    case 'valid':
      return undefined;
    case 'expired':
      return unauthorized('invalid_token', `Access token expired: ${token}`);
    case 'revoked':
      return unauthorized('invalid_token', `Invalid access token: ${token}`);
    case 'unknown':
      return unauthorized('invalid_token', 'Cannot convert access token to JSON');
  }
}

/** OAuth's body, but in the API's media type. */
function unauthorized(error: string, description: string): Answer {
  return { ...authErrorAnswer(401, error, description), contentType: PUBLIC_MEDIA_TYPE };
}

function checkMediaTypes(simulation: Simulation, request: ApiRequest, route: RouteName): Answer | undefined {
  const { headers, method, path } = request;
  const { report, settings } = simulation;
  if (route === 'postBulkCommand' && settings.bulkModification === 'not-found') {
    return errorAnswer(404, 'NotFoundException', `No such resource: ${method} ${path}`);
  }
  const isBeta = route === 'postBulkCommand' && settings.bulkModification === 'on';
  const wanted = isBeta ? BETA_MEDIA_TYPE : PUBLIC_MEDIA_TYPE;
  const accept = headers.accept;
  if (accept === undefined || accept.includes('*/*')) report.noteMistake('accept_not_stated', `${method} ${path}`);
  else if (!mediaTypes(accept).includes(wanted)) {
    report.noteMistake('wrong_accept', `${method} ${path}: ${accept}`);
    return errorAnswer(
      406,
      'NotAcceptableException',
      "Not acceptable representation requested. Please check 'Accept' request header",
    );
  }
  if (method === 'GET') return undefined;
  const contentType = headers['content-type'] ?? '';
  if (mediaTypes(contentType).includes(wanted)) return undefined;
  report.noteMistake('wrong_content_type', `${method} ${path}: ${contentType}`);
  return errorAnswer(
    415,
    'UnsupportedMediaTypeException',
    "Unsupported media type. Please check 'Content-Type' request header",
  );
}

function mediaTypes(header: string): string[] {
  return header.split(',').map((part) => (part.split(';')[0] ?? '').trim().toLowerCase());
}
