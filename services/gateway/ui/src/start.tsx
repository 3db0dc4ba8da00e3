import '@mantine/core/styles.css'
import './styles.css'
import { MantineProvider } from '@mantine/core'
import { type ReactNode, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { takeTokenFromAddress } from './api/token.ts'
import { App } from './app.tsx'
import { TextsProvider } from './i18n/i18n.tsx'
import { theme, variables } from './theme.ts'

/** Draws `inside` for whoever the node lets in. */
export function start(inside: ReactNode): void {
  takeTokenFromAddress()
  window.addEventListener('hashchange', takeTokenFromAddress)
  const root = document.getElementById('root')
  if (root == null) throw new Error('the page has no #root')
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto">
        <TextsProvider>
          <App>{inside}</App>
        </TextsProvider>
      </MantineProvider>
    </StrictMode>
  )
}
