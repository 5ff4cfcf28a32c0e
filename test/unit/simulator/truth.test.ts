import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { Clock } from '../../../simulator/clock.js';
import { changeSettings, FAST_SETTINGS, type Settings, type SettingsChange } from '../../../simulator/settings.js';
import { Truth } from '../../../simulator/truth.js';

let clock: Clock;
let settings: Settings;
let truth: Truth;

const configure = (change: SettingsChange): void => {
  settings = changeSettings(FAST_SETTINGS, change);
};

beforeEach(() => {
  clock = new Clock();
  configure({});
  truth = new Truth(clock, () => settings);
});
afterEach(() => clock.clear());

describe('Truth', () => {
  it('knows nothing until told, and nothing of other SKUs after', () => {
    expect(truth.isGiven).toBe(false);
    truth.set('MUG', 3);
    expect([truth.isGiven, truth.publishable('CUP', '1')]).toEqual([true, undefined]);
  });

  it('takes off the buffer, never below 0', () => {
    configure({ buffer: 2, buffers: { '7': 9 } });
    truth.set('MUG', 5);
    expect(truth.publishable('MUG', '1')).toEqual({ least: 3, most: 3 });
    expect(truth.publishable('MUG', '7')).toEqual({ least: 0, most: 0 });
  });

  it('lets earlier numbers count for the grace time, from when they changed', () => {
    configure({ judgeGraceMs: 1000 });
    truth.set('MUG', 9);
    clock.advance(5000);
    truth.set('MUG', 4);
    clock.advance(500);
    truth.set('MUG', 6);
    expect(truth.publishable('MUG', '1')).toEqual({ least: 4, most: 9 });
    clock.advance(600);
    expect(truth.publishable('MUG', '1')).toEqual({ least: 4, most: 6 });
    clock.advance(600);
    expect(truth.publishable('MUG', '1')).toEqual({ least: 6, most: 6 });
  });

  it('forgets a SKU that left the warehouse', () => {
    truth.set('MUG', 3);
    truth.remove(' MUG ');
    expect(truth.publishable('MUG', '1')).toBeUndefined();
  });
});
