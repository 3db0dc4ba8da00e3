import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { createLogger } from '../../node/index.ts'
import { componentLogger, harmless, openLogFile } from '../../node/logger.ts'

describe('node: logger', () => {
  const capture = (logLevel: 'info' | 'debug' | 'trace') => {
    const lines: { level: number; msg: string; component?: string }[] = []
    const write = (line: string): void => {
      lines.push(JSON.parse(line))
    }
    return { lines, logger: createLogger({ logLevel, logFormat: 'json' }, { write }) }
  }

  it('writes nothing that starts a line or steers a terminal, whatever a peer sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => {
        const { lines, logger } = capture('debug')
        componentLogger(logger).forComponent('artel:test')('peer says %s', text)
        logger.info(text)
        assert.equal(lines.length, 2)
        for (const { msg } of lines)
          assert.ok(!/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(msg ?? ''), msg)
      })
    )
    assert.equal(harmless('a\n\u001b[2Jb'), 'a\\n\\u001b[2Jb')
  })

  it('fills in values as libp2p writes them', () => {
    const { lines, logger } = capture('debug')
    const log = componentLogger(logger).forComponent('artel:test')
    log('%d peers of %s, %p and 100%%', 3, 'a', { toString: () => '12D3' })
    log('no value for %s')
    log('%o', { a: 1 })
    log('one', 'two')
    log.error('failed: %e', new Error('why'))
    assert.deepEqual(
      lines.slice(0, 4).map(({ msg }) => msg),
      ['3 peers of a, 12D3 and 100%', 'no value for %s', '{ a: 1 }', 'one two']
    )
    assert.match(lines[4]!.msg, /^failed: Error: why\\n/)
    assert.equal(lines[0]!.component, 'artel:test')
  })

  it('shows our own trouble, and that of libp2p only to who asks', () => {
    const { lines, logger } = capture('info')
    const components = componentLogger(logger)
    components.forComponent('libp2p:tcp').error('dial failed')
    components.forComponent('artel:seeds').error('seed is away')
    components.forComponent('artel:seeds')('detail')
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['seed is away']
    )
    const scoped = components.forComponent('artel:seeds').newScope('a')
    scoped.error('x')
    assert.equal(lines.at(-1)!.component, 'artel:seeds:a')
  })

  it('writes into a file of its owner, which begins anew when it is full; old ones go', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-log-'))
    try {
      const MB = 2 ** 20
      const config = { logLevel: 'info', logFormat: 'auto', logFileMb: 1, logFiles: 2 } as const
      const logFile = join(folder, 'artel.log')
      // three starts: each goes on where the one before was
      for (let start = 0; start < 3; start++) {
        const file = openLogFile({ ...config, logFile })!
        const logger = createLogger(config, file)
        for (let i = 0; i < 600; i++) logger.info(`${start} ${i} ${'x'.repeat(3000)}`)
        await file.end()
      }
      const names = (await readdir(folder)).sort()
      assert.deepEqual(names, ['artel.log', 'artel.log.1', 'artel.log.2'])
      for (const name of names) {
        const { mode, size } = await stat(join(folder, name))
        assert.equal(mode & 0o777, 0o600)
        assert.ok(size < 1.1 * MB, `${name} has ${size} bytes`)
      }
      const [older, newest] = await Promise.all([readFile(`${logFile}.1`, 'utf8'), readFile(logFile, 'utf8')])
      const lines = `${older}${newest}`.trimEnd().split('\n')
      assert.deepEqual(
        lines.slice(-200).map(line => JSON.parse(line).msg.slice(0, 5)),
        Array.from({ length: 200 }, (_, i) => `2 ${400 + i}`)
      )
      assert.throws(() => openLogFile({ ...config, logFile: join(folder, 'none', 'a.log') }), /cannot write/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
