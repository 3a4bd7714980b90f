// quick throughput probe
using System.Diagnostics;
using Fossil.Models;
using static TorchSharp.torch;
var a = args.Select(int.Parse).ToArray();
int d = a[0], inter = a[1], layers = a[2], heads = a[3], kv = a[4], B = a[5], T = a[6], threads = a[7], steps = a[8];
var dt = a.Length > 9 && a[9] == 1 ? bfloat16 : float32;
set_num_threads(threads);
var m = new LlamaForCausalLM(new LlamaConfig { VocabSize = 256, HiddenSize = d, IntermediateSize = inter, NumHiddenLayers = layers, NumAttentionHeads = heads, NumKeyValueHeads = kv, HeadDim = d / heads, TieWordEmbeddings = true }, dt);
Console.WriteLine($"{m.parameters().Sum(p => p.numel()) / 1e6:f2}M");
var opt = optim.AdamW(m.parameters(), 1e-3);
for (int s = 0; s < steps; s++)
{
    using var scope = NewDisposeScope();
    var ids = randint(0, 128, [B, T + 1], dtype: int64);
    var sw = Stopwatch.StartNew();
    var loss = m.loss(ids, ids);
    var l = loss.item<float>();
    var t1 = sw.Elapsed.TotalSeconds; loss.backward(); var t2 = sw.Elapsed.TotalSeconds;
    opt.step(); opt.zero_grad(); var t3 = sw.Elapsed.TotalSeconds;
    Console.WriteLine($"{l:f3} fwd {t1:f3} bwd {t2 - t1:f3} opt {t3 - t2:f3} tok/s {B * T / t3:f0}");
}
