import { RequestError } from '../errors.ts'

const FORM = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._@'’-]{0,63}$/u

/** The name as it is shown. Throws RequestError. */
export function checkName(text: string): string {
  const name = tidy(text)
  if (!FORM.test(name))
    throw new RequestError(
      `a name has 1 to 64 letters, digits, blanks and . _ @ ' -, and begins with a letter or a digit; got ${JSON.stringify(text.slice(0, 80))}`
    )
  return name
}

/** Two names with the same key are one: capital letters and the way a letter is composed make no difference. Pure. */
export const nameKey = (text: string): string => tidy(text).toLowerCase()

const tidy = (text: string): string => text.normalize('NFKC').trim().replace(/ +/g, ' ')
