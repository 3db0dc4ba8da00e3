import path from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

export interface Import {
  /** Path in the repository. */
  to: string
  line: number
}

export interface Source {
  lines: number
  imports: Import[]
  comments: { text: string; line: number }[]
}

/** What a file says about others: its imports of files of the repository, those of types included, and its comments. */
export function readSource(file: string, text: string): Source {
  const { module, comments, program, errors } = parseSync(file, text)
  if (errors[0] != null) throw new SyntaxError(`${file}: ${errors[0].message}`)
  const found: { request: string; at: number }[] = [
    ...module.staticImports.map(({ moduleRequest, start }) => ({ request: moduleRequest.value, at: start })),
    ...module.staticExports.flatMap(({ entries, start }) =>
      entries
        .slice(0, 1)
        .flatMap(({ moduleRequest }) => moduleRequest ?? [])
        .map(({ value }) => ({ request: value, at: start }))
    ),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
      request: text.slice(start + 1, end - 1),
      at: start
    }))
  ]
  // types of the form import(…).X are in the tree only, which costs time: most files have none
  if (/\bimport\(/.test(text)) {
    new Visitor({
      TSImportType: ({ source, start }) => void found.push({ request: source.value, at: start })
    }).visit(program)
  }
  const line = (at: number) => text.slice(0, at).split('\n').length
  return {
    lines: text.split('\n').length - 1,
    imports: found
      .filter(({ request }) => request.startsWith('.'))
      .map(({ request, at }) => ({ to: path.posix.join(path.posix.dirname(file), request), line: line(at) })),
    comments: comments.map(({ value, start }) => ({ text: value, line: line(start) }))
  }
}
