import type { Activation, Layer, Training } from './model.ts'
export type Numbers = Float64Array | Float32Array

export interface Context {
  layers: Layer[]
  loss: Training['loss']
  shardSize: number
  /** `y` has the number of a class per sample, not a row of targets */
  classes: boolean
}

/** Sums over samples; what a tree node carries. */
export interface Sums {
  gradient: Float64Array
  loss: number
  correct: number
}

/**
 * Sums of gradient, loss and hits over samples, one after the other, in float64. Backpropagation as in Rumelhart,
 * Hinton, Williams, "Learning representations by back-propagating errors", 1986. Self-contained.
 * Losses per sample: mse = mean of (p − t)² over the outputs; cross-entropy = −Σ t ln p, for sigmoid outputs
 * −Σ (t ln p + (1 − t) ln(1 − p)).
 */
export function createNetwork({ layers, loss: lossName, classes }: Context) {
  const outputs = layers[layers.length - 1]!.units
  const parameterCount = layers.reduce((sum, { inputs, units }) => sum + (inputs + 1) * units, 0)
  const TINY = 1e-300 // keeps ln finite

  function activate(z: Float64Array, activation: Activation): void {
    const n = z.length
    if (activation === 'relu') for (let j = 0; j < n; j++) z[j] = Math.max(z[j]!, 0)
    else if (activation === 'sigmoid') for (let j = 0; j < n; j++) z[j] = 1 / (1 + Math.exp(-z[j]!))
    else if (activation === 'tanh') for (let j = 0; j < n; j++) z[j] = Math.tanh(z[j]!)
    else if (activation === 'softmax') {
      let top = Number.NEGATIVE_INFINITY
      for (let j = 0; j < n; j++) top = Math.max(top, z[j]!)
      let sum = 0
      for (let j = 0; j < n; j++) {
        z[j] = Math.exp(z[j]! - top)
        sum += z[j]!
      }
      for (let j = 0; j < n; j++) z[j] = z[j]! / sum
    }
  }

  /** derivative of an activation by its own output */
  function slope(p: number, activation: Activation): number {
    if (activation === 'relu') return p > 0 ? 1 : 0
    if (activation === 'sigmoid') return p * (1 - p)
    return activation === 'tanh' ? 1 - p * p : 1
  }

  function forward(parameters: Float64Array, sample: Numbers): Float64Array[] {
    const values = [Float64Array.from(sample)]
    let at = 0
    for (const { inputs, units, activation } of layers) {
      const from = values[values.length - 1]!
      const bias = at + inputs * units
      const z = parameters.slice(bias, bias + units)
      for (let i = 0; i < inputs; i++) {
        const value = from[i]!
        if (value === 0) continue // adds nothing; images are mostly 0
        const row = at + i * units
        for (let j = 0; j < units; j++) z[j] = z[j]! + value * parameters[row + j]!
      }
      activate(z, activation)
      values.push(z)
      at = bias + units
    }
    return values
  }

  function sums(parameters: Float64Array, x: Numbers, y: Numbers, samples: number): Sums {
    const gradient = new Float64Array(parameterCount)
    const inputs = layers[0]!.inputs
    const target = new Float64Array(outputs)
    let loss = 0
    let correct = 0
    for (let s = 0; s < samples; s++) {
      const values = forward(parameters, x.subarray(s * inputs, (s + 1) * inputs))
      const p = values[values.length - 1]!
      if (classes) {
        target.fill(0)
        target[y[s]!] = 1
      } else target.set(y.subarray(s * outputs, (s + 1) * outputs))
      const { activation } = layers[layers.length - 1]!
      let delta = new Float64Array(outputs)
      for (let j = 0; j < outputs; j++) {
        const difference = p[j]! - target[j]!
        if (lossName === 'mse') {
          loss += (difference * difference) / outputs
          delta[j] = ((2 * difference) / outputs) * slope(p[j]!, activation)
        } else {
          // the derivatives of loss and activation together
          delta[j] = difference
          loss -= target[j]! * Math.log(Math.max(p[j]!, TINY))
          if (activation === 'sigmoid') loss -= (1 - target[j]!) * Math.log(Math.max(1 - p[j]!, TINY))
        }
      }
      if (hit(p, target)) correct++
      let end = parameterCount
      for (let l = layers.length - 1; l >= 0; l--) {
        const { inputs, units } = layers[l]!
        const from = values[l]!
        const bias = end - units
        const at = bias - inputs * units
        const back = new Float64Array(inputs)
        for (let j = 0; j < units; j++) gradient[bias + j] = gradient[bias + j]! + delta[j]!
        for (let i = 0; i < inputs; i++) {
          const row = at + i * units
          const value = from[i]!
          if (value !== 0)
            for (let j = 0; j < units; j++) gradient[row + j] = gradient[row + j]! + value * delta[j]!
          if (l === 0) continue
          let sum = 0
          for (let j = 0; j < units; j++) sum += parameters[row + j]! * delta[j]!
          back[i] = sum * slope(value, layers[l - 1]!.activation)
        }
        delta = back
        end = at
      }
    }
    return { gradient, loss, correct }
  }

  /** One output counts as yes or no, several as the number of the greatest. */
  function hit(p: Float64Array, target: Float64Array): boolean {
    if (outputs === 1) return p[0]! >= 0.5 === target[0]! >= 0.5
    let a = 0
    let b = 0
    for (let j = 1; j < outputs; j++) {
      if (p[j]! > p[a]!) a = j
      if (target[j]! > target[b]!) b = j
    }
    return a === b
  }

  return { sums }
}
