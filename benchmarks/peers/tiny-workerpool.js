import workerpool from 'workerpool'
import tiny from './tiny.js'

workerpool.worker({ tiny })
