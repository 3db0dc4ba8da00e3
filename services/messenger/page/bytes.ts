/** The bytes of a file as the node takes them, in base64. */
export const base64Of = (file: Blob): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve((reader.result as string).split(',', 2)[1] ?? '')
    reader.onerror = () => reject(reader.error as Error)
    reader.readAsDataURL(file)
  })

/** `type` is what a browser may take it for: nothing of a stranger becomes a page of ours. */
export const blobOf = (base64: string, type: string): Blob =>
  new Blob([Uint8Array.from(atob(base64), letter => letter.charCodeAt(0))], { type })

/** Lets the person keep a file, whatever it is. */
export const download = (name: string, base64: string): void =>
  keep(name, blobOf(base64, 'application/octet-stream'))

export function keep(name: string, file: Blob): void {
  const url = URL.createObjectURL(file)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
