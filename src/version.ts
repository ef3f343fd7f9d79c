/** What the server calls itself towards clients. A test holds it against package.json. */
export const VERSION = '0.1.0'
export const SOFTWARE = `Valence ${VERSION}`
