import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { declare, service } from '../../services/index.ts'

/*
 * A device that exists for demos and tests: a valve that can be commanded and set. What was done to it stands in the
 * file `done` of its folder, a line for each time, so that others can count.
 */
const declaration = declare({
  name: 'valve',
  version: 1,
  summary: 'a simulated valve',
  needs: ['devices'],
  config: z.object({ serial: z.string().default('1') }),
  operations: {}
})

export const valve = service(declaration, async () => host => {
  const { open } = host.use.devices
  const file = join(host.folder, 'done')
  let opening = 0
  const did = async (what: string): Promise<void> => {
    await appendFile(file, `${what}\n`, { flush: true })
  }
  return {
    operations: {},
    start: () =>
      host.repeat('valve', 1e9, async () => {
        const device = await open({
          kind: 'valve',
          serial: host.config.serial,
          name: `Valve ${host.config.serial}`,
          readings: { opening: { type: 'number', unit: '%' } },
          events: {},
          settings: {
            opening: {
              type: 'number',
              now: () => opening,
              async set(value) {
                if (Number(value) > 100) throw new Error('it opens to 100 % at most')
                opening = Number(value)
                await device.sample({ opening })
              }
            }
          },
          commands: {
            read: { summary: 'How far it is open', risk: 0, run: () => ({ opening }) },
            turn: {
              summary: 'Open it so far',
              risk: 1,
              args: z.strictObject({ opening: z.number().min(0).max(100) }),
              async run(args) {
                opening = Number(args.opening)
                await did(`turn ${opening}`)
                await device.sample({ opening })
                return { opening }
              }
            },
            flush: {
              summary: 'Open it and wait until all has run out',
              risk: 2,
              deadlineMs: 60_000,
              args: z.strictObject({ ms: z.int().min(0).max(60_000) }),
              async run({ ms }, signal) {
                await did('flush')
                await delay(Number(ms), undefined, { signal })
                return undefined
              },
              look: async () =>
                (await readFile(file, 'utf8').catch(() => '')).includes('flush') ? 'done' : 'failed'
            },
            pour: {
              summary: 'Let something out; nobody can see afterwards whether it was',
              risk: 2,
              deadlineMs: 60_000,
              args: z.strictObject({ ms: z.int().min(0).max(60_000) }),
              async run({ ms }, signal) {
                await did('pour')
                await delay(Number(ms), undefined, { signal })
                return undefined
              }
            },
            empty: {
              summary: 'Give away what is in it',
              risk: 3,
              async run() {
                await did('empty')
                return undefined
              }
            },
            hang: {
              summary: 'It does not answer',
              risk: 1,
              deadlineMs: 500,
              run: () => new Promise(() => {})
            },
            jam: {
              summary: 'It sticks',
              risk: 1,
              run() {
                throw new Error('it is stuck')
              }
            }
          }
        })
        await device.sample({ opening })
      })
  }
})
