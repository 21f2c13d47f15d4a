/** What this is a version of; the same as in package.json, as a test makes sure. */
export const VERSION = '0.1.0'
