import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import type { PeerCall } from '../../host/index.ts'
import { isEqual, signAs } from '../core/codec.ts'
import { consentFor } from '../core/statement.ts'
import { MalformedMessageError, PolicyError, SchoolError } from '../errors.ts'
import { type Messages, PAIRING_MS } from '../messages.ts'
import {
  commitmentTo,
  digitsOf,
  type Ends,
  readDeviceCode,
  SECRET_BYTES,
  writeDeviceCode
} from './device-code.ts'
import type { Network } from './network.ts'
import type { School } from './school.ts'

/** A code that is shown on this device, and who came with it. */
interface Offer {
  code: string
  secret: Uint8Array
  until: number
  isTaken?: true
  comer?: Comer
}
interface Comer {
  device: string
  peer: string
  name: string
  consent: Uint8Array
  digits: string
  answer: PromiseWithResolvers<Record<never, never>>
}
/** This device wants to come in: what its person is to type on the other, or why it did not. */
export type Wanted = { digits: string; until: number } | { failed: string }

export interface PairingInit {
  network: Pick<Network, 'self' | 'open'>
  school: Pick<School, 'roster' | 'known' | 'checkNew' | 'state' | 'enter'>
  /** of the own device */
  signer: Signer
  now(): number
  signal: AbortSignal
  /** what is wanted has changed */
  changed(): void
}
export type Pairing = ReturnType<typeof createPairing>
type Heard = Messages['pair']
type Request = Omit<z.output<Heard['request']>, 'school' | 'by'>
type Call = PeerCall<z.output<Heard['items']>, z.output<Heard['sends']>>

/**
 * A device of a person lets in another of his. The new one has the code of the old one, each shows the other what it threw
 * in, and the person types on the old one the digits that the new one shows: they are of both keys, so that whoever stands
 * between them has others.
 */
export function createPairing({ network, school, signer, now, signal, changed }: PairingInit) {
  const self = signer.account
  let offer: Offer | undefined
  let wanted: Wanted | undefined
  let wanting = new AbortController()

  function opened(): Offer {
    if (offer == null || now() >= offer.until)
      throw new PolicyError(
        'there is no such code any more: each lets one device try, for five minutes; show a new one'
      )
    return offer
  }

  return {
    /** A new code; one that was shown before is void. @throws {PolicyError} this device does not count */
    offer(): { code: string; until: number } {
      const roster = school.known()
      const me = roster.person(self)
      if (me == null) throw new PolicyError('this device does not count in the school any more')
      offer?.comer?.answer.reject(new PolicyError('another code is shown now'))
      const secret = new Uint8Array(randomBytes(SECRET_BYTES))
      const until = now() + PAIRING_MS
      const code = writeDeviceCode({
        school: roster.school,
        user: me.id,
        by: self,
        peer: network.self,
        secret
      })
      offer = { code, secret, until }
      return { code, until }
    },

    /** Answers a device that has the code; done when its person has typed the digits. */
    async answer(
      { secret, device, name, commitment }: Request,
      { peer, signal, send, received }: Call
    ): Promise<Record<never, never>> {
      const mine = opened()
      if (!isEqual(mine.secret, secret)) throw new PolicyError('there is no such code; show a new one')
      if (mine.isTaken) throw new PolicyError('a device came with this code already; show a new one')
      mine.isTaken = true
      const { school: of, user, by, peer: own } = readDeviceCode(mine.code)
      const nonce = new Uint8Array(randomBytes(32))
      await send({ nonce })
      for await (const { nonce: theirs, consent } of received) {
        if (!isEqual(commitmentTo(theirs), commitment))
          throw new MalformedMessageError('the new device did not throw in what it said before')
        const ends: Ends = {
          school: of,
          user,
          by,
          peer: own,
          device,
          devicePeer: peer,
          nonces: [nonce, theirs]
        }
        const answer = Promise.withResolvers<Record<never, never>>()
        mine.comer = { device, peer, name, consent, digits: digitsOf(ends), answer }
        await send({ waits: true })
        const gone = new AbortController()
        try {
          return await Promise.race([
            answer.promise,
            once(signal, 'abort', { signal: gone.signal }).then(() => Promise.reject(signal.reason))
          ])
        } finally {
          gone.abort()
          if (offer === mine) offer = undefined
        }
      }
      throw new MalformedMessageError('the new device went before it had thrown in its part')
    },

    /**
     * Lets the device in that came with the code, if these are its digits. One try for each code.
     *
     * @throws {PolicyError} they are others, nobody came, or too late
     * @throws {NoMajorityError} it can be tried again with a new code
     */
    async confirm(digits: string, signal: AbortSignal): Promise<{ id: string; name: string; peer: string }> {
      const { comer } = opened()
      if (comer == null) throw new PolicyError('no device has come with the code yet')
      offer = undefined
      const { device, peer, name, consent, answer } = comer
      // the other end may have gone
      answer.promise.catch(() => undefined)
      try {
        if (digits.replaceAll(/\s/g, '') !== comer.digits)
          throw new PolicyError(
            `these are not the digits of the device that came (${name}): mistyped, or somebody stands between; nothing was let in; show a new code`
          )
        const { user } = school.known().device(self)!
        // what was decided before the other end went stands
        if (school.known().person(device)?.id !== user)
          await school.state('device', { user, device, peer, name, vouch: consent }, signal)
        answer.resolve({})
        return { id: device, name, peer }
      } catch (error) {
        answer.reject(error)
        throw error
      }
    },

    /** What is wanted of the person of this device, where it comes in. */
    wanted: (): Wanted | undefined =>
      wanted != null && 'until' in wanted && now() >= wanted.until ? undefined : wanted,

    /**
     * Comes to the device that shows a code, and has the digits. What follows goes on behind.
     *
     * @throws {SchoolError} it belongs to a school, or the other device does not answer, or refuses
     */
    async join(code: string, name: string, begin: () => Promise<void>): Promise<void> {
      school.checkNew()
      const { school: of, user, by, peer, secret } = readDeviceCode(code)
      wanting.abort(new SchoolError('another code was given'))
      const mine = new AbortController()
      wanting = mine
      wanted = undefined
      const nonce = new Uint8Array(randomBytes(32))
      const all = AbortSignal.any([signal, mine.signal])
      const exchange = network.open(
        peer,
        'pair',
        { school: of, by, secret, device: self, name, commitment: commitmentTo(nonce) },
        { signal: all }
      )
      const items = exchange.items[Symbol.asyncIterator]()
      try {
        const first = await items.next()
        if (first.done === true || !('nonce' in first.value))
          throw new MalformedMessageError('it throws in nothing')
        const ends: Ends = {
          school: of,
          user,
          by,
          peer,
          device: self,
          devicePeer: network.self,
          nonces: [first.value.nonce, nonce]
        }
        const agreed = consentFor(of, user, self, network.self, by)
        await exchange.send({ nonce, consent: signAs(signer, 'consent', agreed).signature })
        await exchange.end()
        // nobody types digits that the other end does not know yet
        await items.next()
        wanted = { digits: digitsOf(ends), until: now() + PAIRING_MS }
      } catch (error) {
        throw new SchoolError(`the other device does not let this one in: ${(error as Error).message}`)
      }
      void (async () => {
        try {
          await items.next()
          await exchange.answer
          await school.enter({ school: of, user, peer }, all)
          wanted = undefined
          await begin()
        } catch (error) {
          if (mine === wanting) wanted = { failed: (error as Error).message }
        }
        changed()
      })()
    }
  }
}
