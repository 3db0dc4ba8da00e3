import { Component, type ReactNode } from 'react'
import { Problem } from './page.tsx'

/** A page that breaks says so, and the others stay. */
export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {}

  static getDerivedStateFromError(error: Error) {
    return { error }
  }

  override render() {
    const { error } = this.state
    if (error == null) return this.props.children
    // also where a part of the program did not arrive, which a browser asks for only once
    return <Problem error={error} retry={() => window.location.reload()} />
  }
}
