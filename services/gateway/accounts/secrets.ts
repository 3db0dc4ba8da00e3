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

/** What a child types from paper: digits and small letters (Crockford), of which none looks like another. */
const TYPED = '0123456789abcdefghjkmnpqrstvwxyz'
const TYPED_CHARS = 16

/** A first password, 80 random bits: as a plain hash too many to try. */
export const newFirstPassword = (): string =>
  [...randomBytes(TYPED_CHARS)]
    .map(byte => TYPED[byte % TYPED.length]!)
    .join('')
    .replaceAll(/.{4}(?!$)/g, '$&-')

/** As it was made, however it is typed. Pure. */
export const tidyFirstPassword = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll('o', '0')
    .replaceAll(/[il]/g, '1')
    .replaceAll(/[^0-9a-z]/g, '')
    .replaceAll(/.{4}(?!$)/g, '$&-')

/** In constant time; also where nothing is kept, so that the time does not tell which ids exist. */
export function isSecret(text: string, kept: string | undefined): boolean {
  const got = hashOf(text)
  return timingSafeEqual(Buffer.from(got), Buffer.from(kept ?? hashOf(got))) && kept != null
}
