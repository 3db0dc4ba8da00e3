import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { createLogger } from '../../node/index.ts'
import { componentLogger, harmless } from '../../node/logger.ts'

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
})
