import { deepEqual, equal, ok } from 'node:assert/strict'
import { guarded } from '../../../services/sas/line/guard.ts'
import { createMachine } from '../../../services/sas/machine/machine.ts'
import { Machine } from './machine.ts'

const OPTIONS_CHANGED = 0x3c

describe('sas: a machine in whose place another one stands', () => {
  it('is let go, also where the log has no room for the next one yet', async () => {
    let now = 1_000
    let machine = new Machine({ address: 1, serial: '000001' })
    const next = new Machine({ address: 1, serial: '000002' })
    let isFull = true
    const log: string[] = []
    const driver = await createMachine({
      lineName: 'line',
      address: 1,
      line: guarded({ errors: 0, ask: async message => machine.message(message, now) }, () => false),
      devices: {
        async open({ serial }) {
          if (serial === next.serial && isFull) throw new Error('the log is full')
          let isOpen = true
          return {
            id: serial,
            async event(kind) {
              ok(isOpen, `${serial} is closed`)
              log.push(`${serial} ${kind}`)
              return undefined
            },
            sample: async () => undefined,
            latest: async () => undefined,
            before: async () => undefined,
            samples: async () => [],
            close() {
              isOpen = false
            }
          }
        }
      },
      commands: () => ({}),
      due: async () => {},
      onException() {},
      meterSeconds: () => 3600,
      now: () => now
    })
    const { signal } = new AbortController()
    const rounds = async (): Promise<string[]> => {
      const failures: string[] = []
      for (let i = 0; i < 10; i++) {
        now += 250
        await driver.step(signal).catch(error => failures.push((error as Error).message))
      }
      return [...new Set(failures)]
    }
    deepEqual(await rounds(), [])
    equal(driver.state.serial, '000001')
    machine = next
    next.raise(OPTIONS_CHANGED)
    deepEqual(await rounds(), ['the log is full'])
    isFull = false
    deepEqual(await rounds(), [])
    equal(driver.state.serial, '000002')
    ok(log.includes('000002 meters'), log.join())
  })

  it('or that is gone since a restart, is said to be gone, once', async () => {
    const log: unknown[] = []
    const driver = await createMachine({
      lineName: 'line',
      address: 1,
      line: guarded({ errors: 0, ask: async () => undefined }, () => false),
      devices: {
        open: async ({ kind }) => ({
          id: kind,
          event: async (_, body) => void log.push(body),
          sample: async values => void log.push(values),
          latest: async () => ({ isUp: true, serial: '000001' }),
          before: async () => undefined,
          samples: async () => [],
          close() {}
        })
      },
      commands: () => ({}),
      due: async () => {},
      onException() {},
      meterSeconds: () => 3600,
      now: () => 0
    })
    for (let i = 0; i < 9; i++) await driver.step(new AbortController().signal)
    deepEqual(log, [{ isUp: false }, { isUp: false }])
  })
})
