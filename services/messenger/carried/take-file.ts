import { transact } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { MailboxFullError, MalformedMessageError, PolicyError } from '../errors.ts'
import { type Frame, readFrames } from './format.ts'

export interface Taken {
  /** that were not here */
  statements: number
  packages: number
  envelopes: number
  /** why it was not read to its end; what was read before counts */
  fault?: string
}

/**
 * Takes in a file of carried mail: as if everything of it had come over the network, once, however often it is brought.
 *
 * @throws {SchoolError} of another school
 * @throws {MalformedMessageError} no such file
 * @throws {PolicyError} whoever made it does not count in the school
 * @throws {MailboxFullError}
 */
export async function takeFile(
  node: Pick<Messenger, 'school' | 'mailbox' | 'mls' | 'post' | 'store'>,
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal
): Promise<Taken> {
  const { school, mailbox, mls, post, store } = node
  const taken: Taken = { statements: 0, packages: 0, envelopes: 0 }
  let hasBegun = false
  try {
    for await (const { head, frame } of readFrames(pieces, school.known().school)) {
      signal.throwIfAborted()
      hasBegun = true
      if (frame == null) continue
      // the roster proves itself, and may be what tells that its maker counts
      if (frame.kind === 'statements') takeStatements(frame.body)
      else if (school.known().person(head.device) == null)
        throw new PolicyError('whoever made this file does not count in the school')
      if (frame.kind === 'packages') await takePackages(frame.body)
      if (frame.kind === 'mail') await takeMail(frame.body)
    }
  } catch (error) {
    if (!hasBegun || !(error instanceof MalformedMessageError)) throw error
    taken.fault = error.message
  }
  return taken

  function takeStatements(given: Body<'statements'>): void {
    for (const [n, bytes, signature, decision] of given)
      if (school.bring(n, { statement: { bytes, signature }, decision })) taken.statements++
  }

  /** Where a device left some itself, those are newer. */
  async function takePackages(given: Body<'packages'>): Promise<void> {
    if (!mailbox.isOne()) return
    for (const [device, bytes] of given) {
      if (school.known().person(device) == null || mailbox.store.hasPackage(device)) continue
      await mls.checkPackage(device, bytes)
      mailbox.leavePackages(device, [], bytes)
      taken.packages++
    }
  }

  async function takeMail(given: Body<'mail'>): Promise<void> {
    const fresh = await mailbox.bring(given)
    if (fresh == null)
      throw new MailboxFullError('this node has no room for so much mail; see messenger.mailMb')
    taken.envelopes += fresh.length
    // what is for this device is read as from a mailbox, and the mailboxes get it for the others
    post.tend()
    if (mailbox.isOne()) return
    transact(store.db, () => {
      for (const peer of school.known().mailboxes()) for (const { whole } of fresh) store.post(peer, whole)
    })
    post.wake()
  }
}

type Body<K extends Frame['kind']> = Extract<Frame, { kind: K }>['body']
