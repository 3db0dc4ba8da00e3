import { Secret, TOTP } from 'otpauth'

/** RFC 6238 as authenticator apps know it: SHA-1, six digits, 30 s. */
const PERIOD_S = 30
/** Steps before and after the present one that count as well: clocks of telephones differ. */
const WINDOW = 1
const FORM = /^[0-9]{6}$/

/** base32 of 160 random bits, the length that RFC 4226 recommends */
export const newTotpSecret = (): string => new Secret({ size: 20 }).base32

/** What an authenticator app reads from a QR code. */
export function totpUri(secret: string, name: string, issuer: string): string {
  return totpOf(secret, name, issuer).toString()
}

/**
 * The step of the code, or undefined for a wrong one. Pure.
 * `after`: the step of the last code that was taken; a code that somebody saw over a shoulder is not taken twice.
 */
export function checkTotp(secret: string, code: string, now: number, after: number): number | undefined {
  const token = code.replaceAll(' ', '')
  if (!FORM.test(token)) return undefined
  const delta = totpOf(secret).validate({ token, timestamp: now, window: WINDOW })
  if (delta == null) return undefined
  const step = Math.floor(now / 1000 / PERIOD_S) + delta
  return step > after ? step : undefined
}

function totpOf(secret: string, label = '', issuer = ''): TOTP {
  return new TOTP({ secret: Secret.fromBase32(secret), label, issuer, digits: 6, period: PERIOD_S })
}
