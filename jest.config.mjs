/** Every test file runs as native ESM; servers are started by `test/run.ts` before jest, never by a test file. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // They kill workers and wait for heartbeats: `npm run test:crash` and `npm run crash-matrix`.
  testPathIgnorePatterns: process.env.CRASH_TESTS === 'on' ? [] : ['<rootDir>/test/crash/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  testTimeout: 60_000,
};
