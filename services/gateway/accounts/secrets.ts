import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

const SECRET_BYTES = 32
const ID_BYTES = 6
const FORM = /^artel_([0-9a-z]{1,32})_[\w-]{43}$/

export const newId = (): string => randomBytes(ID_BYTES).toString('hex')

/** A text that nobody guesses (256 random bits), with the id under which its hash is kept. */
export const newSecret = (id: string): string =>
  `artel_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`

/** undefined for what cannot be one */
export const idOf = (text: string): string | undefined => FORM.exec(text)?.[1]

/** Of 256 random bits a plain hash is enough: nobody tries them all. */
export const hashOf = (text: string): string => hash('sha256', text, 'hex')

/** In constant time; also where nothing is kept, so that the time does not tell which ids exist. */
export function isSecret(text: string, kept: string | undefined): boolean {
  const got = hashOf(text)
  return timingSafeEqual(Buffer.from(got), Buffer.from(kept ?? hashOf(got))) && kept != null
}
