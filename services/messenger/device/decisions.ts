import { z } from 'zod'
import { bytesOf, count, hash32, hashOf, isEqual, pack, toHex, unpack } from '../core/codec.ts'
import { type Generation, MAX_GENERATION_BYTES } from '../core/generation.ts'
import type { Mls } from '../groups/mls.ts'
import { decisionSchema } from '../messages.ts'
import { type Decided, isDecided, type Slot, slotId } from '../school/decide.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import { openWith, sealWith } from './seal.ts'
import type { DeviceStore, KeptGeneration } from './store.ts'

/** a slot, what it holds, and the votes for it */
const tuple = z.tuple([hash32, count, bytesOf(1, MAX_GENERATION_BYTES + 2048), decisionSchema])
const MAX_BYTES = MAX_GENERATION_BYTES + 4096
const note = z.tuple([hash32, bytesOf(1, 256), bytesOf(1, MAX_BYTES + 256)])

/** What the slots of groups hold by their ids, as whoever filled them says and the votes prove. */
export type Heard = ReadonlyMap<string, Uint8Array>
export type Decisions = ReturnType<typeof createDecisions>

/** Who fills a slot tells its members what was decided: nobody need ask mailboxes, which may be far away. */
export function createDecisions(mls: Mls, store: DeviceStore, school: School, network: Network) {
  const idOf = (slot: Slot): string => toHex(slotId(school.known().school, slot))

  /** Undefined: no majority of those who decide, as far as they are known here. @throws {MalformedMessageError} */
  function read(bytes: Uint8Array): { slot: Required<Slot>; value: Uint8Array } | undefined {
    const [key, at, value, decision] = unpack(tuple, bytes, MAX_BYTES, 'a decision')
    const roster = school.known()
    if (roster.head < at) return undefined
    const id = slotId(roster.school, { key, at })
    const isRight = isDecided(id, roster.mailboxes(at), { value, decision }, network.isSigned)
    return isRight ? { slot: { key, at }, value } : undefined
  }

  return {
    idOf,
    /** For the members of a generation, and for each of those whom the next one adds by these packages. */
    async seal(
      before: KeptGeneration,
      { devices }: Pick<Generation, 'devices'>,
      { key, at }: Required<Slot>,
      { value, decision }: Decided,
      packages: ReadonlyMap<string, Uint8Array>
    ): Promise<{ sealed: Uint8Array; notes: [device: string, sealed: Uint8Array][] }> {
      const said = pack([key, at, value, decision])
      const added = devices.filter(device => packages.has(device) && !before.devices.includes(device))
      return {
        sealed: sealWith(await mls.secret(before.state!, 'seal'), said),
        notes: await Promise.all(
          added.map(async (device): Promise<[string, Uint8Array]> => {
            const bytes = packages.get(device)!
            return [device, pack([hashOf(bytes), ...(await mls.sealTo(bytes, device, said))])]
          })
        )
      }
    },

    /** What a member of the generation says that the slot after it holds. @throws {MalformedMessageError} */
    async after(before: KeptGeneration, sealed: Uint8Array): Promise<Uint8Array | undefined> {
      const decided = read(openWith(await mls.secret(before.state!, 'seal'), sealed))
      const key = await mls.secret(before.state!, 'slot')
      const isIt = decided != null && isEqual(decided.slot.key, key) && decided.slot.at === before.roster
      return isIt ? decided.value : undefined
    },

    /** What newcomers are told in their inboxes. */
    async heardIn(notes: readonly Uint8Array[]): Promise<Heard> {
      const heard = new Map<string, Uint8Array>()
      for (const bytes of notes) {
        try {
          const [packageId, enc, sealed] = unpack(note, bytes, MAX_BYTES + 1024, 'a note in the inbox')
          const own = store.package(toHex(packageId))
          const decided = own && read(await mls.openFrom(own.privateBytes, [enc, sealed]))
          if (decided != null) heard.set(idOf(decided.slot), decided.value)
        } catch {
          // it tells nothing: the mailboxes are asked
        }
      }
      return heard
    }
  }
}
