import { encodeModel, type OnnxModel, type OnnxTensor } from '../../test/scheduler/onnx-model.ts'
import { createRandom } from '../../test/scheduler/run-work.ts'

// arxiv.org/abs/1704.04861, table 1: filters and stride of what follows the first layer
const BLOCKS: [filters: number, stride: number][] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...new Array<[number, number]>(5).fill([512, 1]),
  [1024, 2],
  [1024, 1]
]

/** MobileNet v1 for images of 3 × 224 × 224 and 1,000 classes: 4.2 million weights, drawn. */
export function mobileNet(): Uint8Array {
  const random = createRandom(1)
  const nodes: OnnxModel['nodes'] = []
  const tensors: Record<string, OnnxTensor> = {}
  let last = 'image'
  const weights = (name: string, ...dims: number[]): string => {
    const [size, inner] = [dims.reduce((a, b) => a * b), dims.slice(1).reduce((a, b) => a * b, 1)]
    const scale = Math.sqrt(6 / inner)
    tensors[name] = { dims, data: Float32Array.from({ length: size }, () => (2 * random() - 1) * scale) }
    return name
  }
  const convolve = (inputs: number, filters: number, size: number, stride: number, group = 1): void => {
    const n = nodes.length
    const [kernel, bias] = [weights(`k${n}`, filters, inputs / group, size, size), weights(`b${n}`, filters)]
    const edge = (size - 1) / 2
    const attributes = { strides: [stride, stride], pads: [edge, edge, edge, edge], group }
    nodes.push({ op: 'Conv', inputs: [last, kernel, bias], outputs: [`c${n}`], attributes })
    nodes.push({ op: 'Relu', inputs: [`c${n}`], outputs: [`r${n}`] })
    last = `r${n}`
  }
  convolve(3, 32, 3, 2)
  let channels = 32
  for (const [filters, stride] of BLOCKS) {
    convolve(channels, channels, 3, stride, channels)
    convolve(channels, filters, 1, 1)
    channels = filters
  }
  nodes.push(
    { op: 'GlobalAveragePool', inputs: [last], outputs: ['pooled'] },
    { op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
    { op: 'Gemm', inputs: ['flat', weights('w', channels, 1000), weights('b', 1000)], outputs: ['scores'] },
    { op: 'Softmax', inputs: ['scores'], outputs: ['classes'] }
  )
  return encodeModel({
    inputs: [{ name: 'image', dims: ['batch', 3, 224, 224] }],
    outputs: ['classes'],
    nodes,
    tensors
  })
}
