import { setting } from './setting.ts'
import { oneOf, whole, wholeWords, yesNo, yesNoWords } from './values.ts'

/** The Atomicals index. */
export const ATOMICALS_SETTINGS = {
  atomicals: setting({
    env: 'ATOMICALS',
    schema: yesNo,
    allowed: yesNoWords,
    fallback: undefined,
    fallbackNote: 'on',
    sentence:
      'The Atomicals index. An index made with it is refused without it, and the other way round; off serves plain ' +
      'Electrum and keeps nothing of Atomicals.',
  }),
  atomicalsShape: setting({
    env: 'ATOMICALS_SHAPE',
    schema: oneOf('object', 'list'),
    allowed: 'object or list',
    fallback: 'object',
    sentence:
      'Form of `atomicals` of outputs for who asks for none: id to amount, or a list of ids as before 1.5, which ' +
      'atomicals-js (0.1.80 and 0.1.84) needs in order not to spend what sits at an output. See docs/HTTP.md.',
  }),
  ...activationHeights(),
} as const

function activationHeights() {
  const height = whole(1, 100_000_000)
  const entry = (env: string, rule: string) =>
    setting({
      env,
      schema: height,
      allowed: `${wholeWords(1, 100_000_000)}, on regtest only`,
      fallback: undefined,
      fallbackNote: 'regtest: 1',
      sentence: `Height from which ${rule} on regtest. An index remembers it and is refused with another.`,
    })
  return {
    atomicalsActivation: entry('ATOMICALS_ACTIVATION_HEIGHT', 'Atomicals count'),
    atomicalsActivationDmint: entry('ATOMICALS_ACTIVATION_HEIGHT_DMINT', 'dmint rules count'),
    atomicalsActivationCommitz: entry('ATOMICALS_ACTIVATION_HEIGHT_COMMITZ', 'named mints need commit output 0'),
    atomicalsActivationDensity: entry('ATOMICALS_ACTIVATION_HEIGHT_DENSITY', 'the density rules count'),
    atomicalsActivationRollover: entry(
      'ATOMICALS_ACTIVATION_HEIGHT_DFT_BITWORK_ROLLOVER',
      'perpetual mints may roll over',
    ),
    atomicalsActivationCustomColoring: entry('ATOMICALS_ACTIVATION_HEIGHT_CUSTOM_COLORING', 'custom colouring counts'),
  }
}
