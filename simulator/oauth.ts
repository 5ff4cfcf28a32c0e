import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { Answer } from './answer.js';
import { authErrorAnswer } from './answer.js';
import type { Clock } from './clock.js';
import type { JournalEntry } from './journal.js';
import type { Report } from './report.js';
import type { Settings } from './settings.js';
import type { TokenPair, Tokens } from './tokens.js';
import { SlidingWindow } from './window.js';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const SLOW_DOWN_S = 5;

interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly clientId: string;
  readonly scopes: readonly string[] | undefined;
  readonly expiresAt: number;
  intervalS: number;
  polledAt: number;
  decision: 'pending' | 'denied' | { readonly sellerId: string };
}

export interface OAuthCall {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly baseUrl: string;
  readonly entry: JournalEntry;
}

interface OAuthParts {
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly report: Report;
  readonly settings: () => Settings;
}

/** `/auth/oauth/device` and `/auth/oauth/token`: device flow, refresh, application tokens. */
export class OAuth {
  readonly #parts: OAuthParts;
  readonly #devices = new Map<string, DeviceAuthorization>();
  readonly #tokenRequests = new Map<string, SlidingWindow>();

  constructor(parts: OAuthParts) {
    this.#parts = parts;
  }

  answer(call: OAuthCall): Answer {
    const client = this.#client(call);
    if ('status' in client) return client;
    call.entry.clientId = client.id;
    // Parameters may come in the body or, as Allegro's tutorial writes it, in the URL.
    const parameters = new URLSearchParams(call.body === '' ? call.query : call.body);
    if (call.method === 'POST' && call.path === '/auth/oauth/device') {
      return this.#startDevice(client.id, parameters, call.baseUrl);
    }
    if (call.method === 'POST' && call.path === '/auth/oauth/token') return this.#token(client.id, parameters, call);
    return authErrorAnswer(404, 'not_found', 'No such resource');
  }

  /** What the seller does on the page that the device flow points to. @returns false for an unknown user code. */
  decide(userCode: string, decision: 'deny' | { sellerId: string }): boolean {
    const device = [...this.#devices.values()].find((known) => known.userCode === userCode);
    if (device?.decision !== 'pending') return false;
    device.decision = decision === 'deny' ? 'denied' : { sellerId: decision.sellerId };
    return true;
  }

  /** User codes that wait for a decision. */
  waitingUserCodes(): string[] {
    const now = this.#parts.clock.now();
    return [...this.#devices.values()]
      .filter(({ decision, expiresAt }) => decision === 'pending' && expiresAt > now)
      .map(({ userCode }) => userCode);
  }

  #client(call: OAuthCall): { id: string } | Answer {
    const header = call.headers.authorization ?? '';
    const encoded = /^Basic (.+)$/i.exec(header)?.[1];
    if (encoded === undefined) {
      return authErrorAnswer(401, 'unauthorized', 'Full authentication is required to access this resource');
    }
    const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString().split(':');
    const { clients } = this.#parts.settings();
    if (clients && (clients[id] === undefined || clients[id] !== secret)) {
      return authErrorAnswer(401, 'invalid_client', 'Bad client credentials');
    }
    return { id };
  }

  #startDevice(clientId: string, parameters: URLSearchParams, baseUrl: string): Answer {
    const { deviceLifetimeS, deviceIntervalS, deviceNumbersAsStrings } = this.#parts.settings();
    if (parameters.get('client_id') !== clientId) {
      this.#parts.report.noteMistake('device_without_client_id', clientId);
      return authErrorAnswer(400, 'invalid_request', 'client_id is missing or is not that of the credentials');
    }
    const scope = parameters.get('scope');
    const device: DeviceAuthorization = {
      deviceCode: randomBytes(24).toString('base64url'),
      userCode: randomBytes(6).toString('hex').slice(0, 9),
      clientId,
      scopes: scope === null || scope.trim() === '' ? undefined : scope.trim().split(/\s+/),
      expiresAt: this.#parts.clock.now() + deviceLifetimeS * 1000,
      intervalS: deviceIntervalS,
      polledAt: 0,
      decision: 'pending',
    };
    this.#devices.set(device.deviceCode, device);
    const verificationUri = `${baseUrl}/skojarz-aplikacje`;
    const number = (value: number): number | string => (deviceNumbersAsStrings ? String(value) : value);
    return json(200, {
      user_code: device.userCode,
      device_code: device.deviceCode,
      expires_in: number(deviceLifetimeS),
      interval: number(deviceIntervalS),
      verification_uri: verificationUri,
      verification_uri_complete: `${verificationUri}?code=${device.userCode}`,
    });
  }

  #token(clientId: string, parameters: URLSearchParams, call: OAuthCall): Answer {
    switch (parameters.get('grant_type')) {
      case 'refresh_token':
        return this.#refresh(clientId, parameters.get('refresh_token') ?? '', call);
      case DEVICE_GRANT:
        return this.#pollDevice(clientId, parameters.get('device_code') ?? '', call);
      case 'client_credentials': {
        const { accessToken, expiresIn } = this.#parts.tokens.authorizeApplication(clientId);
        return json(200, { access_token: accessToken, token_type: 'bearer', expires_in: expiresIn, allegro_api: true });
      }
      default:
        return authErrorAnswer(
          400,
          'unsupported_grant_type',
          `Unsupported grant type: ${parameters.get('grant_type') ?? ''}`,
        );
    }
  }

  #refresh(clientId: string, refreshToken: string, call: OAuthCall): Answer {
    const sellerId = this.#parts.tokens.sellerOfRefreshToken(refreshToken);
    if (sellerId !== undefined && !this.#admit(`${sellerId} ${clientId}`)) return tooManyTokens();
    const result = this.#parts.tokens.refresh(refreshToken, clientId);
    if (result.kind === 'refused') {
      this.#parts.report.noteMistake('refresh_token_refused', result.reason);
      return authErrorAnswer(400, 'invalid_grant', `Invalid refresh token: ${refreshToken}`);
    }
    call.entry.sellerId = result.sellerId;
    return tokenAnswer(result.pair);
  }

  #pollDevice(clientId: string, deviceCode: string, call: OAuthCall): Answer {
    const device = this.#devices.get(deviceCode);
    if (device?.clientId !== clientId) return authErrorAnswer(400, 'Invalid device code', 'Invalid device code');
    const now = this.#parts.clock.now();
    if (now >= device.expiresAt) {
      this.#devices.delete(deviceCode);
      return authErrorAnswer(400, 'expired_token', 'Device code expired');
    }
    // A quarter of a second too early is a matter of clocks.
    const isTooSoon = device.polledAt > 0 && now - device.polledAt < device.intervalS * 1000 - 250;
    device.polledAt = now;
    if (isTooSoon) {
      device.intervalS += SLOW_DOWN_S;
      this.#parts.report.noteMistake('device_polled_too_fast', device.userCode);
      return authErrorAnswer(400, 'slow_down', 'Polling too fast');
    }
    if (device.decision === 'pending') {
      return authErrorAnswer(400, 'authorization_pending', 'User has not yet decided');
    }
    this.#devices.delete(deviceCode);
    if (device.decision === 'denied') return authErrorAnswer(400, 'access_denied', 'User denied access');
    call.entry.sellerId = device.decision.sellerId;
    return tokenAnswer(this.#parts.tokens.authorize(device.decision.sellerId, clientId, device.scopes));
  }

  #admit(key: string): boolean {
    const most = this.#parts.settings().tokensPerMinute;
    if (most === null) return true;
    const known = this.#tokenRequests.get(key) ?? new SlidingWindow(60_000);
    this.#tokenRequests.set(key, known);
    return known.add(this.#parts.clock.now()) <= most;
  }
}

function tokenAnswer({ accessToken, refreshToken, expiresIn, scope }: TokenPair): Answer {
  return json(200, {
    access_token: accessToken,
    token_type: 'bearer',
    refresh_token: refreshToken,
    expires_in: expiresIn,
    scope,
    allegro_api: true,
    iss: 'https://allegro.pl',
    jti: randomBytes(16).toString('hex'),
  });
}

function tooManyTokens(): Answer {
  return authErrorAnswer(429, 'too_many_requests', 'Too many token requests');
}

function json(status: number, value: object): Answer {
  return { status, body: JSON.stringify(value), contentType: 'application/json;charset=UTF-8' };
}
