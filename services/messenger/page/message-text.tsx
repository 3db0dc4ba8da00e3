import { Anchor, Code } from '@mantine/core'
import { piecesOf } from './format-text.ts'

/** A text of somebody: nodes of React, never markup, and its direction is its own. */
export function MessageText({ text }: { text: string }) {
  return (
    <div
      dir="auto"
      // marks that pile up on a letter stay in its message
      style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', overflow: 'clip', unicodeBidi: 'isolate' }}
    >
      {piecesOf(text).map((piece, i) => {
        // the pieces of a text do not move
        const key = `${i} ${piece.kind}`
        if (piece.kind === 'bold') return <strong key={key}>{piece.text}</strong>
        if (piece.kind === 'italic') return <em key={key}>{piece.text}</em>
        if (piece.kind === 'code') return <Code key={key}>{piece.text}</Code>
        if (piece.kind === 'block')
          return (
            <Code key={key} block>
              {piece.text}
            </Code>
          )
        if (piece.kind === 'link')
          return (
            <Anchor key={key} href={piece.url} target="_blank" rel="noopener noreferrer" underline="always">
              {piece.text}
            </Anchor>
          )
        return <span key={key}>{piece.text}</span>
      })}
    </div>
  )
}
