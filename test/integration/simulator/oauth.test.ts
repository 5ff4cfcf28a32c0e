import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { SELLER, senderFor, startScene, USER_AGENT, type Reply, type Scene } from './scene.js';

const tokenSchema = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  expires_in: z.number(),
  scope: z.string(),
});
const deviceSchema = z.object({
  device_code: z.string(),
  user_code: z.string(),
  expires_in: z.number(),
  interval: z.number(),
  verification_uri: z.string(),
  verification_uri_complete: z.string(),
});

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
});
afterEach(() => scene.stop());

const auth = (path: string, parameters: Record<string, string>, credentials = 'app:secret'): Promise<Reply> =>
  scene.send('POST', `/auth/oauth/${path}`, {
    body: new URLSearchParams(parameters).toString(),
    token: null,
    headers: {
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': USER_AGENT,
    },
  });
const refresh = (refreshToken: string): Promise<Reply> =>
  auth('token', { grant_type: 'refresh_token', refresh_token: refreshToken });
const me = async (accessToken: string): Promise<Reply> => senderFor(scene.simulator.url, accessToken)('GET', '/me');

describe('refreshing', () => {
  it('gives a new pair of 12 hours and ends the previous access token at once', async () => {
    const first = await scene.admin.issueTokens({ sellerId: SELLER });
    const reply = await refresh(first.refreshToken);
    const pair = tokenSchema.parse(reply.body);
    expect(pair.expires_in).toBe(43_199);
    expect(pair.refresh_token).not.toBe(first.refreshToken);
    expect([(await me(first.accessToken)).status, (await me(pair.access_token)).status]).toEqual([401, 200]);
    expect(reply.headers.get('trace-id')).toBeNull();
  });

  it('lets the used refresh token be used again for 60 s, the last answer winning', async () => {
    const first = await scene.admin.issueTokens({ sellerId: SELLER });
    const second = tokenSchema.parse((await refresh(first.refreshToken)).body);
    await scene.admin.advanceClock(59_000);
    const third = tokenSchema.parse((await refresh(first.refreshToken)).body);
    expect([(await me(second.access_token)).status, (await me(third.access_token)).status]).toEqual([401, 200]);
    await scene.admin.advanceClock(2000);
    const late = await refresh(first.refreshToken);
    expect(late.status).toBe(400);
    expect(late.body).toMatchObject({ error: 'invalid_grant' });
    expect((await scene.admin.report()).clientMistakes['refresh_token_refused']?.samples).toEqual(['used']);
  });

  it('refuses tokens that are unknown, revoked or three months old', async () => {
    const revoked = await scene.admin.issueTokens({ sellerId: SELLER });
    expect(await scene.admin.revokeTokens(SELLER)).toBe(2);
    const old = await scene.admin.issueTokens({ sellerId: SELLER });
    expect((await refresh('nonsense')).body).toMatchObject({ error: 'invalid_grant' });
    expect((await refresh(revoked.refreshToken)).status).toBe(400);
    await scene.admin.advanceClock(91 * 86_400_000);
    expect((await refresh(old.refreshToken)).status).toBe(400);
  });

  it('refuses unknown clients with invalid_client when clients are given', async () => {
    await scene.admin.changeSettings({ clients: { app: 'right' } });
    const { refreshToken } = await scene.admin.issueTokens({ sellerId: SELLER, clientId: 'app' });
    const wrong = await auth('token', { grant_type: 'refresh_token', refresh_token: refreshToken }, 'app:wrong');
    expect([wrong.status, wrong.body]).toEqual([401, expect.objectContaining({ error: 'invalid_client' })]);
    const right = await auth('token', { grant_type: 'refresh_token', refresh_token: refreshToken }, 'app:right');
    expect(right.status).toBe(200);
  });

  it('is limited per seller and client when so set', async () => {
    await scene.admin.changeSettings({ tokensPerMinute: 1 });
    const { refreshToken } = await scene.admin.issueTokens({ sellerId: SELLER });
    expect([(await refresh(refreshToken)).status, (await refresh(refreshToken)).status]).toEqual([200, 429]);
  });
});

describe('access tokens', () => {
  it('expire, are revoked, or are no tokens at all: 401 in the shape of OAuth', async () => {
    const { accessToken } = await scene.admin.issueTokens({ sellerId: SELLER });
    await scene.admin.advanceClock(43_200_000);
    const expired = await me(accessToken);
    expect(expired.status).toBe(401);
    expect(expired.body).toEqual({ error: 'invalid_token', error_description: `Access token expired: ${accessToken}` });
    expect((await me('nonsense')).body).toMatchObject({ error_description: 'Cannot convert access token to JSON' });
    expect((await scene.send('GET', '/me', { token: null })).body).toMatchObject({ error: 'unauthorized' });
  });

  it('beyond 20 sessions of a seller, the oldest stops working', async () => {
    const first = await scene.admin.issueTokens({ sellerId: '44000009' });
    for (let session = 0; session < 19; session += 1) await scene.admin.issueTokens({ sellerId: '44000009' });
    expect((await me(first.accessToken)).status).toBe(200);
    await scene.admin.issueTokens({ sellerId: '44000009' });
    expect((await me(first.accessToken)).status).toBe(401);
    expect((await refresh(first.refreshToken)).status).toBe(400);
  });

  it('open only what their scopes allow', async () => {
    const { accessToken } = await scene.admin.issueTokens({ sellerId: SELLER, scopes: ['allegro:api:profile:read'] });
    const send = senderFor(scene.simulator.url, accessToken);
    expect([(await send('GET', '/me')).status, (await send('GET', '/sale/offers?limit=1')).status]).toEqual([200, 403]);
  });

  it('of an application know no user', async () => {
    const body = (await auth('token', { grant_type: 'client_credentials' })).body;
    const { access_token: accessToken } = z.object({ access_token: z.string() }).parse(body);
    expect((await me(accessToken)).status).toBe(403);
  });

  it('of a private account do not open offers', async () => {
    await scene.admin.addSeller({ sellerId: '44000005', isBusiness: false });
    const { accessToken } = await scene.admin.issueTokens({ sellerId: '44000005' });
    const reply = await senderFor(scene.simulator.url, accessToken)('GET', '/sale/offers?limit=1');
    expect([reply.status, reply.text.includes('OfferAccessDeniedException')]).toEqual([403, true]);
  });
});

describe('the device flow', () => {
  const start = async (): Promise<z.infer<typeof deviceSchema>> =>
    deviceSchema.parse((await auth('device', { client_id: 'app', scope: 'allegro:api:profile:read' })).body);
  const poll = (deviceCode: string): Promise<Reply> =>
    auth('token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: deviceCode });
  const wait = (seconds: number): Promise<void> => scene.admin.advanceClock(seconds * 1000);

  it('waits for the seller, then yields tokens of the asked scope once', async () => {
    const device = await start();
    expect(device.verification_uri_complete).toContain(device.user_code);
    expect((await poll(device.device_code)).body).toMatchObject({ error: 'authorization_pending' });
    expect(await scene.admin.waitingUserCodes()).toEqual([device.user_code]);
    await scene.admin.decideDevice(device.user_code, { decision: 'approve', sellerId: '44000007' });
    await wait(device.interval);
    const tokens = tokenSchema.parse((await poll(device.device_code)).body);
    expect(tokens.scope).toBe('allegro:api:profile:read');
    expect((await me(tokens.access_token)).body).toMatchObject({ id: '44000007' });
    expect((await poll(device.device_code)).body).toMatchObject({ error: 'Invalid device code' });
  });

  it('says slow_down to who polls too fast, and lengthens the interval', async () => {
    const device = await start();
    await poll(device.device_code);
    expect((await poll(device.device_code)).body).toMatchObject({ error: 'slow_down' });
    await wait(device.interval);
    expect((await poll(device.device_code)).body).toMatchObject({ error: 'slow_down' });
    await wait(device.interval + 10);
    expect((await poll(device.device_code)).body).toMatchObject({ error: 'authorization_pending' });
  });

  it('ends by denial or after an hour', async () => {
    const [denied, forgotten] = [await start(), await start()];
    await scene.admin.decideDevice(denied.user_code, { decision: 'deny' });
    expect((await poll(denied.device_code)).body).toMatchObject({ error: 'access_denied' });
    await wait(3601);
    expect((await poll(forgotten.device_code)).body).toMatchObject({ error: 'expired_token' });
  });

  it('shows a page where a person decides', async () => {
    await scene.admin.addSeller({ sellerId: '44000007', login: 'kubki' });
    const device = await start();
    expect(await (await fetch(device.verification_uri_complete)).text()).toContain('kubki');
    await fetch(device.verification_uri, {
      method: 'POST',
      body: new URLSearchParams({ code: device.user_code, sellerId: '44000007', decision: 'approve' }),
    });
    expect((await poll(device.device_code)).status).toBe(200);
  });

  it('gives its numbers as texts when so set, as the tutorial shows', async () => {
    await scene.admin.changeSettings({ deviceNumbersAsStrings: true });
    expect((await auth('device', { client_id: 'app' })).body).toMatchObject({ expires_in: '3600', interval: '1' });
  });
});
