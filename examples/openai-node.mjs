// openai-node: plain, streamed, and a tool loop.
//
//   npm install openai
//   OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=any node examples/openai-node.mjs
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Also found in NODE_MODULES_FOLDER, for those who installed it elsewhere.
const folder = process.env.NODE_MODULES_FOLDER;
const { default: OpenAI } = folder
  ? await import(pathToFileURL(createRequire(`${folder}/`).resolve("openai")))
  : await import("openai");

const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8000/v1",
  apiKey: process.env.OPENAI_API_KEY ?? "any",
});
const messages = [{ role: "user", content: "What is 17 + 25?" }];

const { data, response } = await client.chat.completions.create({ model: "auto", messages }).withResponse();
console.log("plain:", data.choices[0].message.content);
console.log("       answered by", response.headers.get("x-gearbox-tier"), "for", response.headers.get("x-gearbox-cost-usd"), "USD");

let text = "";
const stream = await client.chat.completions.create({ model: "auto", messages, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
console.log("streamed:", text);

const runner = client.chat.completions.runTools({
  model: "auto",
  messages: [{ role: "user", content: "What is the weather in Paris?" }],
  tools: [
    {
      type: "function",
      function: {
        name: "get_weather",
        description: "Get the current weather in a city",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        parse: JSON.parse,
        function: ({ city }) => `7 degrees in ${city}`,
      },
    },
  ],
});
console.log("tools:", await runner.finalContent());
