/** Grammar of names. */

import { MAX_NAME_LENGTH } from './constants.ts'

// CONSENSUS: Python's $ also matches before a final newline, so "abc\n" is a name of every kind.
const TICKER = /^[a-z0-9]{1,21}\n?$/
const REALM = /^[a-z][a-z0-9-]{0,63}\n?$/
const OTHER_NAME = /^[a-z0-9][a-z0-9-]{0,63}\n?$/

/** Tickers of FT and DFT; the newline is not counted. */
export function isTicker(text: string): boolean {
  return TICKER.test(text)
}

/** Top-level realms begin with a letter. */
export function isRealmName(text: string): boolean {
  return isBaseName(text) && REALM.test(text)
}

export function isSubrealmName(text: string): boolean {
  return isBaseName(text) && OTHER_NAME.test(text)
}

export function isContainerName(text: string): boolean {
  return isBaseName(text) && OTHER_NAME.test(text)
}

/** Items of containers. */
export function isItemName(text: string): boolean {
  return isBaseName(text) && OTHER_NAME.test(text)
}

// CONSENSUS: a name of 64 characters leaves no room for the newline, and a hyphen may stand before one.
function isBaseName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && !text.endsWith('-')
}
