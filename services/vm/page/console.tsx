import '@xterm/xterm/css/xterm.css'
import { Alert, Button, Group, Text } from '@mantine/core'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'react'
import type { Api, ConsoleAnswer } from './api.ts'
import { createTyper, followConsole, isTaken } from './follow-console.ts'
import type { Words } from './words.ts'

interface ConsoleProps {
  vm: string
  api: Api
  words: Words
}

const COLOURS = { background: '#12161b', foreground: '#d8dee6', cursor: '#53b0b2' }
/** This window, who types; randomUUID is there on encrypted pages only. */
const session = crypto.getRandomValues(new Uint32Array(3)).join('-')

/**
 * What a terminal answers as if its user had typed: where it stands, what it is, its colours. There are any number of
 * terminals and one guest, and what it asked yesterday is read again today: none answers.
 */
function answerNothing({ parser }: Terminal): void {
  for (const id of [
    ...[{ final: 'n' }, { prefix: '?', final: 'n' }, { final: 'c' }, { prefix: '>', final: 'c' }],
    ...[
      { intermediates: '$', final: 'p' },
      { prefix: '?', intermediates: '$', final: 'p' }
    ]
  ])
    parser.registerCsiHandler(id, () => true)
  parser.registerDcsHandler({ intermediates: '$', final: 'q' }, () => true)
  for (const colour of [4, 10, 11, 12]) parser.registerOscHandler(colour, text => text.includes('?'))
}

/** The serial port of a machine; any number of pages look, one types. */
export default function Console({ vm, api, words: { t } }: ConsoleProps) {
  const box = useRef<HTMLElement>(null)
  const typer = useRef<ReturnType<typeof createTyper>>(null)
  const [writer, setWriter] = useState<ConsoleAnswer['writer']>('none')
  const [lost, setLost] = useState<string>()
  const label = t('consoleOf', { id: vm })

  useEffect(() => {
    const terminal = new Terminal({ fontSize: 13, scrollback: 5_000, theme: COLOURS, cursorBlink: false })
    answerNothing(terminal)
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(box.current!)
    fit.fit()
    terminal.textarea?.setAttribute('aria-label', label)
    const resized = new ResizeObserver(() => fit.fit())
    resized.observe(box.current!)
    // who cannot use a mouse must get out again
    terminal.attachCustomKeyEventHandler(({ key, shiftKey }) => !(key === 'Tab' && shiftKey))
    const gone = new AbortController()
    typer.current = createTyper(api, vm, {
      session,
      refused: error => (isTaken(error) ? setWriter('other') : setLost(error.message))
    })
    terminal.onData(text => typer.current!.type(text))
    void followConsole(api, vm, {
      session,
      signal: gone.signal,
      sink: {
        writer: setWriter,
        lost: setLost,
        write(bytes, isNew) {
          if (isNew) terminal.reset()
          terminal.write(bytes)
        }
      }
    })
    return () => {
      gone.abort()
      resized.disconnect()
      terminal.dispose()
    }
  }, [api, vm, label])

  const takeOver = (): void =>
    void typer.current!.takeOver().then(
      answer => setWriter(answer.writer),
      (error: Error) => setLost(error.message)
    )
  return (
    <div>
      <Group justify="space-between" mb="xs" mih={36}>
        <Text size="sm" c="dimmed" role="status">
          {t(writer === 'you' ? 'consoleYou' : writer === 'other' ? 'consoleOther' : 'consoleNone')}
        </Text>
        {writer === 'other' && (
          <Button size="xs" variant="default" onClick={takeOver}>
            {t('takeOver')}
          </Button>
        )}
      </Group>
      {lost !== undefined && (
        <Alert color="red" variant="light" mb="xs">
          {t('consoleLost', { reason: lost })}
        </Alert>
      )}
      <section
        ref={box}
        aria-label={label}
        style={{
          height: '24rem',
          background: COLOURS.background,
          padding: '0.5rem',
          borderRadius: '0.5rem',
          overflow: 'hidden'
        }}
      />
      <Text size="xs" c="dimmed" mt={4}>
        {t('consoleHint')}
      </Text>
    </div>
  )
}
