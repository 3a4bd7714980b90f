using Fossil.Models.Tests.Decoder;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Concurrency;

/// <summary>Many threads on one decoder, and on several: the right texts, and no crash.</summary>
public sealed class ConcurrentUseTests
{
    private const int Threads = 6, Rounds = 6;

    private static readonly int[][] Prompts = [[5, 9, 31, 7], [11], [60, 61, 62, 63, 64, 65, 66, 67, 3], [40, 41, 42]];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Texts_of_many_threads_are_those_of_one(int models)
    {
        // A fresh model each time: its rotary table grows while others read it.
        var decoders = Enumerable.Range(0, models).Select(i => Adapted(seed: i + 1)).ToArray();
        var expected = decoders.Select(entry => Prompts.Select(prompt => Text(entry.Model, prompt)).ToArray()).ToArray();
        var fresh = Enumerable.Range(0, models).Select(i => Adapted(seed: i + 1)).ToArray();
        Run(thread =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                var (model, prompt) = ((thread + round) % models, (thread * 3 + round) % Prompts.Length);
                Assert.Equal(expected[model][prompt], Text(fresh[model].Model, Prompts[prompt]));
                // A web server allocates meanwhile, and so collects garbage at any time.
                if (round % 2 == 0) GC.Collect(0);
            }
        });
        foreach (var (model, adapted) in decoders.Concat(fresh))
        {
            adapted.Dispose();
            model.Dispose();
        }
    }

    [Fact]
    public void Each_thread_gets_the_text_of_the_adapters_that_it_chose()
    {
        var (model, adapted) = Adapted(seed: 1);
        adapted.AddAdapter("other", new LoraConfig { Rank = 4, TargetModules = ModuleSelector.AllLinear });
        adapted.SetAdapter("other");
        Randomize(adapted, 9);
        adapted.SetAdapter("default");
        string[] ways = ["default", "other", "none", "rows"];
        var expected = ways.Select(Answer).ToArray();
        Assert.Equal(3, expected.Distinct().Count()); // The row's adapter is "other".
        Run(thread =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                var way = (thread + round) % ways.Length;
                Assert.Equal(expected[way], Answer(ways[way]));
            }
        });
        adapted.Dispose();
        model.Dispose();

        string Answer(string way)
        {
            if (way is "none" or "rows")
            {
                using var scope = way == "none" ? adapted.DisableAdapters() : adapted.UseAdapters(["other"]);
                return Text(model, Prompts[0]);
            }

            using var exclusive = model.UseExclusively();
            adapted.SetAdapter(way);
            return Text(model, Prompts[0]);
        }
    }

    [Fact]
    public void A_run_of_training_beside_requests_takes_the_steps_that_it_takes_alone()
    {
        var data = TokenData.FromWindows([.. Enumerable.Range(0, 160).Select(i => 3 + (i * 7 % 90))], 16, "numbers");
        var arguments = new TrainingArguments { MaxSteps = 5, BatchSize = 2, LearningRate = 1e-2, LoggingSteps = 1, GradientCheckpointing = true };
        var losses = new[] { false, true }.Select(withRequests =>
        {
            var (model, adapted) = Adapted(seed: 1, dropout: 0.3);
            using var done = new CancellationTokenSource();
            Exception? failure = null;
            var requests = new Thread(() => failure = Record.Exception(() =>
            {
                while (!done.IsCancellationRequested) Assert.Equal(16, Text(model, Prompts[0]).Split(' ').Length);
            }));
            if (withRequests) requests.Start();
            var state = new Trainer<TokenBatch>(adapted, model.loss, arguments, data).Train().State;
            done.Cancel();
            if (withRequests) requests.Join();
            Assert.Null(failure);
            adapted.Dispose();
            model.Dispose();
            return state.Logs.Select(log => log.Loss).ToArray();
        }).ToArray();
        Assert.Equal(losses[0], losses[1]);
    }

    [Fact]
    public void A_decoder_that_is_disposed_lets_the_text_be_finished_first()
    {
        var (model, adapted) = Adapted(seed: 1);
        using var started = new ManualResetEventSlim();
        IReadOnlyList<int>? text = null;
        var request = new Thread(() => text = model.Generate(Prompts[0], new GenerationOptions { MaxNewTokens = 24, StopTokens = [] }, _ => started.Set()));
        request.Start();
        started.Wait();
        model.Dispose();
        request.Join();
        Assert.Equal(24, text!.Count);
        adapted.Dispose();
    }

    private static (LlamaForCausalLM Model, AdaptedModel Adapted) Adapted(int seed, double dropout = 0)
    {
        var model = TinyModels.Create(seed: seed);
        var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 16, Dropout = dropout });
        Randomize(adapted, seed);
        return (model, adapted);
    }

    private static void Randomize(AdaptedModel adapted, int seed)
    {
        using var noGrad = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (var (_, parameter) in adapted.TrainableParameters())
        {
            using var values = empty(parameter.shape).normal_(0, 0.2, generator);
            parameter.copy_(values);
        }
    }

    private static string Text(LlamaForCausalLM model, int[] prompt) => string.Join(' ', model.Generate(prompt, new GenerationOptions { MaxNewTokens = 16, StopTokens = [] }));

    private static void Run(Action<int> action)
    {
        var failures = new Exception?[Threads];
        var threads = Enumerable.Range(0, Threads).Select(i => new Thread(() => failures[i] = Record.Exception(() => action(i)))).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        Assert.All(failures, Assert.Null);
    }
}
