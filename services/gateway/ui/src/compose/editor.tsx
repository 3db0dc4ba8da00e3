import { autocompletion, type CompletionContext, closeBrackets } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { javascript } from '@codemirror/lang-javascript'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, linter } from '@codemirror/lint'
import { Compartment, EditorState } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef } from 'react'
import { readSpec, SpecTextError } from './read-spec.ts'

export interface EditorProps {
  value: string
  onChange(value: string): void
  onRun(): void
  label: string
  /** names that complete */
  words: readonly string[]
}

const LINT_DELAY_MS = 400

const highlight = (isDark: boolean): HighlightStyle =>
  HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword], color: isDark ? '#c792ea' : '#7b3fb0' },
    { tag: [tags.string, tags.special(tags.string)], color: isDark ? '#a5d6a7' : '#2b6a30' },
    { tag: [tags.number, tags.bool, tags.null], color: isDark ? '#f6b26b' : '#9a4a00' },
    { tag: tags.propertyName, color: isDark ? '#80cbc4' : '#0b6567' },
    {
      tag: [tags.function(tags.variableName), tags.definition(tags.variableName)],
      color: isDark ? '#90b4ff' : '#2a52a8'
    },
    { tag: tags.comment, color: isDark ? '#8f9aa8' : '#5d6773', fontStyle: 'italic' }
  ])

const look = (isDark: boolean) => [
  EditorView.theme(
    {
      '&': { fontSize: '0.84rem', backgroundColor: 'transparent', color: 'var(--mantine-color-text)' },
      '&.cm-focused': { outline: 'none' },
      '.cm-scroller': {
        fontFamily: 'var(--mantine-font-family-monospace)',
        lineHeight: '1.55',
        minHeight: '16rem',
        maxHeight: '32rem'
      },
      '.cm-content': { caretColor: 'var(--mantine-color-text)', padding: '0.75rem 0' },
      '.cm-cursor': { borderLeftColor: 'var(--mantine-color-text)' },
      '.cm-gutters': {
        backgroundColor: 'transparent',
        border: 'none',
        color: 'var(--mantine-color-dimmed)'
      },
      '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--artel-quiet)' },
      '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
        backgroundColor: isDark ? '#2f5a5c' : '#bfe0e0'
      },
      '.cm-tooltip': {
        backgroundColor: 'var(--artel-card)',
        border: '1px solid var(--artel-line)',
        color: 'var(--mantine-color-text)'
      }
    },
    { dark: isDark }
  ),
  syntaxHighlighting(highlight(isDark))
]

function lint(view: EditorView): Diagnostic[] {
  try {
    readSpec(view.state.doc.toString())
    return []
  } catch (err) {
    if (!(err instanceof SpecTextError)) throw err
    return [{ from: err.from, to: err.to, severity: 'error', message: err.message }]
  }
}

/** Tab leaves the editor, so that a keyboard is not caught in it. */
export default function Editor({ value, onChange, onRun, label, words }: EditorProps) {
  const scheme = useComputedColorScheme('light')
  const box = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  const appearance = useRef(new Compartment())
  const now = useRef({ value, onChange, onRun, words, scheme })
  now.current = { value, onChange, onRun, words, scheme }

  useEffect(() => {
    if (box.current == null) return
    const complete = (context: CompletionContext) => {
      const word = context.matchBefore(/\w+/)
      if (word == null) return null
      return { from: word.from, options: now.current.words.map(each => ({ label: each, type: 'property' })) }
    }
    const made = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: now.current.value,
        extensions: [
          keymap.of([
            {
              key: 'Mod-Enter',
              run: () => {
                now.current.onRun()
                return true
              }
            }
          ]),
          lineNumbers(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          autocompletion({ override: [complete] }),
          javascript(),
          linter(lint, { delay: LINT_DELAY_MS }),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.updateListener.of(update => {
            if (update.docChanged) now.current.onChange(update.state.doc.toString())
          }),
          appearance.current.of(look(now.current.scheme === 'dark')),
          keymap.of([...defaultKeymap, ...historyKeymap])
        ]
      })
    })
    view.current = made
    return () => {
      made.destroy()
      view.current = null
    }
  }, [label])

  useEffect(() => {
    view.current?.dispatch({ effects: appearance.current.reconfigure(look(scheme === 'dark')) })
  }, [scheme])

  useEffect(() => {
    const made = view.current
    if (made == null || made.state.doc.toString() === value) return
    made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } })
  }, [value])

  return <div ref={box} className="editor" />
}
