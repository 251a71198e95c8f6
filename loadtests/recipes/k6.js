// k6 asks a server and judges it; for teams who have their load tests in k6 already.
//
//   k6 run -e URL=http://127.0.0.1:8080 -e MODEL=iris -e RATE=200 k6.js
//
// An open loop: requests start at their rate whatever the answers do, as long as there are users left to send them. Those
// that could not be sent are `dropped_iterations`; a run with any of them has measured k6. Exit code 99: a limit was broken.

import http from 'k6/http';
import { check } from 'k6';

const URL = __ENV.URL || 'http://127.0.0.1:8080';
const MODEL = __ENV.MODEL || 'iris';
const INPUT = __ENV.INPUT || 'features';
const WIDTH = Number(__ENV.WIDTH || 4);
const RATE = Number(__ENV.RATE || 200);

export const options = {
  scenarios: {
    steady: {
      executor: 'constant-arrival-rate',
      rate: RATE,
      timeUnit: '1s',
      duration: __ENV.DURATION || '30s',
      preAllocatedVUs: Math.max(10, Math.ceil(RATE / 10)),
      maxVUs: Math.max(100, RATE),
    },
  },
  thresholds: {
    http_req_duration: ['p(99)<50'],
    http_req_failed: ['rate<0.001'],
    checks: ['rate>0.999'],
    dropped_iterations: ['count==0'],
  },
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(99)', 'p(99.9)', 'max'],
};

function row() {
  return Array.from({ length: WIDTH }, () => 2 * Math.random() - 1);
}

export default function () {
  const tensor = { name: INPUT, shape: [1, WIDTH], datatype: 'FP32', data: row() };
  const answer = http.post(`${URL}/v2/models/${MODEL}/infer`, JSON.stringify({ inputs: [tensor] }), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '10s',
    tags: { name: 'infer' },
  });
  check(answer, { 'the answer has outputs': (seen) => seen.status === 200 && seen.json('outputs').length > 0 });
}
