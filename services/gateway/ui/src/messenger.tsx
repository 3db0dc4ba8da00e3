import { MessengerShell } from './messenger-shell.tsx'
import { start } from './start.tsx'

start(<MessengerShell />)

// browsers give it to addresses with TLS and to this machine only; without it the page needs the node to open
navigator.serviceWorker?.register('./messenger-worker.js', { scope: './messenger' }).catch(reportError)
