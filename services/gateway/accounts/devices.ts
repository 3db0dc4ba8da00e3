import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const NONCE_BYTES = 12
const FORM = /^([\w-]{16})\.([\w-]{43})$/

/** Whether a text may be such a mark, of whichever node. */
export const isMark = (text: string): boolean => FORM.test(text)

/**
 * Marks browsers from which an account was signed in to ("device cookies", OWASP). A mark opens nothing; it only
 * counts the failures of its browser apart from those of strangers. It ends with the password.
 */
export function createDevices(key: Uint8Array) {
  const mac = (account: Marked, nonce: string): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([account.id, account.password, nonce]))
      .digest()

  return {
    mark(account: Marked): string {
      const nonce = randomBytes(NONCE_BYTES).toString('base64url')
      return `${nonce}.${mac(account, nonce).toString('base64url')}`
    },
    /** the name of the browser, or undefined when it is none of this account */
    check(account: Marked, mark: string): string | undefined {
      const [, nonce, got] = FORM.exec(mark) ?? []
      if (nonce == null) return undefined
      return timingSafeEqual(Buffer.from(got!, 'base64url'), mac(account, nonce)) ? nonce : undefined
    }
  }
}

interface Marked {
  id: string
  password: string | undefined
}
