import '@mantine/core/styles.css'
import './styles.css'
import { MantineProvider } from '@mantine/core'
import { lazy, StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import { takeTokenFromAddress } from './api/token.ts'
import { App } from './app.tsx'
import { TextsProvider } from './i18n/i18n.tsx'
import { isMessenger } from './is-messenger.ts'
import { Loading } from './parts/page.tsx'
import { Shell } from './shell.tsx'
import { theme, variables } from './theme.ts'

const MessengerShell = lazy(() => import('./messenger-shell.tsx'))

// one address, so that its worker has it, wherever it was opened
if (isMessenger) window.history.replaceState(null, '', `./messenger.html${window.location.hash}`)
takeTokenFromAddress()
window.addEventListener('hashchange', takeTokenFromAddress)

const root = document.getElementById('root')
if (root == null) throw new Error('the page has no #root')
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto">
      <TextsProvider>
        <App>
          <Suspense fallback={<Loading />}>{isMessenger ? <MessengerShell /> : <Shell />}</Suspense>
        </App>
      </TextsProvider>
    </MantineProvider>
  </StrictMode>
)
// browsers give it to addresses with TLS and to this machine only; without it the page needs the node to open
if (isMessenger)
  navigator.serviceWorker?.register('./messenger-worker.js', { scope: './messenger' }).catch(reportError)
