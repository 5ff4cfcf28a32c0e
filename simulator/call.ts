import type { Seller } from './catalogue.js';
import type { JournalEntry } from './journal.js';
import type { MatchedRoute } from './routes.js';

/** A request to the API that has passed authorization and media types. */
export interface ApiCall {
  readonly route: MatchedRoute;
  readonly seller: Seller;
  /** The query string without its question mark. */
  readonly query: string;
  readonly body: string;
  /** Where the caller reached us, such as `http://127.0.0.1:8080`: the base of every Location. */
  readonly baseUrl: string;
  readonly entry: JournalEntry;
  /** A planted delay before a command registered by this call is processed; Infinity: never. */
  readonly stallMs: number;
}
