using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Generation on a small random decoder.</summary>
public sealed class GenerationTests
{
    private static readonly int[][] Prompts = [[5, 9, 31, 7], [11], [60, 61, 62, 63, 64, 65, 66, 67, 3]];

    public static TheoryData<string> Ways => ["greedy", "temperature", "top-k", "top-p", "penalty", "all"];

    [Theory, MemberData(nameof(Ways))]
    public void A_batch_of_different_lengths_gives_the_texts_of_each_alone(string way)
    {
        using var model = TinyModels.Create();
        var options = Options(way);
        var together = model.Generate(Prompts, options);
        for (var row = 0; row < Prompts.Length; row++) Assert.Equal(model.Generate(Prompts[row], options), together[row]);
    }

    [Fact]
    public void A_sliding_window_gives_the_same_texts_in_a_batch_as_well()
    {
        using var model = TinyModels.Create(TinyModels.Config with { SlidingWindow = 4 });
        var together = model.Generate(Prompts, Options("greedy"));
        for (var row = 0; row < Prompts.Length; row++) Assert.Equal(model.Generate(Prompts[row], Options("greedy")), together[row]);
    }

    [Fact]
    public void Greedy_takes_the_likeliest_token_of_the_full_pass()
    {
        using var model = TinyModels.Create();
        var text = new List<int>(Prompts[0]);
        for (var i = 0; i < 8; i++)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            text.Add((int)model.forward(tensor([.. text.Select(id => (long)id)], [1, text.Count]))[0, -1].argmax().item<long>());
        }
        Assert.Equal(text[Prompts[0].Length..], model.Generate(Prompts[0], new GenerationOptions { MaxNewTokens = 8 }));
    }

    [Fact]
    public void The_seed_decides()
    {
        using var model = TinyModels.Create();
        IReadOnlyList<int> Text(int? seed) => model.Generate(Prompts[0], new GenerationOptions { MaxNewTokens = 24, Temperature = 1, Seed = seed });
        Assert.Equal(Text(3), Text(3));
        Assert.NotEqual(Text(3), Text(4));
    }

    [Fact]
    public void A_stop_token_ends_its_text_only()
    {
        using var model = TinyModels.Create();
        var free = model.Generate(Prompts, new GenerationOptions { MaxNewTokens = 12, StopTokens = [] });
        var stop = free[0][4];
        var stopped = model.Generate(Prompts, new GenerationOptions { MaxNewTokens = 12, StopTokens = [stop] });
        for (var row = 0; row < Prompts.Length; row++)
        {
            var end = free[row].ToList().IndexOf(stop);
            Assert.Equal(end < 0 ? free[row] : free[row].Take(end + 1), stopped[row]);
        }
    }

    [Fact]
    public void Tokens_arrive_as_they_are_chosen_and_cancellation_keeps_them()
    {
        using var model = TinyModels.Create();
        using var cancel = new CancellationTokenSource();
        var arrived = new List<int>();
        var text = model.Generate(Prompts[0], new GenerationOptions { MaxNewTokens = 50 }, token =>
        {
            arrived.Add(token);
            if (arrived.Count == 5) cancel.Cancel();
        }, cancel.Token);
        Assert.Equal(5, text.Count);
        Assert.Equal(arrived, text);
    }

    [Fact]
    public void Top_k_and_top_p_draw_from_the_likeliest_only()
    {
        var logits = new[] { 1f, 4f, 3f, 2f, -1f };
        HashSet<int> Drawn(GenerationOptions options)
        {
            var sampler = new TokenSampler(options, []);
            return [.. Enumerable.Range(0, 2000).Select(_ => sampler.Next([.. logits]))];
        }
        Assert.Equal([1, 2], Drawn(new() { Temperature = 1, TopK = 2, Seed = 1 }).Order());
        // The probabilities are .032, .636, .234, .086, .004 - and so on.
        Assert.Equal([1, 2], Drawn(new() { Temperature = 1, TopP = 0.8, Seed = 1 }).Order());
        Assert.Equal([0, 1, 2, 3, 4], Drawn(new() { Temperature = 2, Seed = 1 }).Order());
    }

    [Fact]
    public void A_draw_follows_the_probabilities()
    {
        var logits = new[] { 0f, MathF.Log(3) };
        var sampler = new TokenSampler(new() { Temperature = 1, Seed = 2 }, []);
        Assert.InRange(Enumerable.Range(0, 4000).Count(_ => sampler.Next([.. logits]) == 1) / 4000.0, 0.72, 0.78);
    }

    [Fact]
    public void The_repetition_penalty_counts_prompt_and_text()
    {
        var sampler = new TokenSampler(new() { RepetitionPenalty = 2 }, [1]);
        Assert.Equal(2, sampler.Next([0f, 4f, 3f]));   // 4 / 2 < 3
        Assert.Equal(1, sampler.Next([-9f, 4f, 3f]));  // 3 / 2 < 4 / 2
    }

    [Theory]
    [InlineData(new int[0], "empty")]
    [InlineData(new[] { 1, 96 }, "96")]
    public void A_prompt_that_cannot_be_continued_is_refused(int[] prompt, string message)
    {
        using var model = TinyModels.Create();
        Assert.Contains(message, Assert.Throws<ArgumentException>(() => model.Generate(prompt)).Message);
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        using var model = TinyModels.Create();
        foreach (var options in new GenerationOptions[] { new() { Temperature = -1 }, new() { TopK = 0 }, new() { TopP = 1.5 }, new() { RepetitionPenalty = 0 }, new() { MaxNewTokens = -1 } })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate([1], options));
        }
    }

    private static GenerationOptions Options(string way) => way switch
    {
        "temperature" => new() { MaxNewTokens = 16, Temperature = 0.8, Seed = 7 },
        "top-k" => new() { MaxNewTokens = 16, Temperature = 1.2, TopK = 8, Seed = 7 },
        "top-p" => new() { MaxNewTokens = 16, Temperature = 1.2, TopP = 0.7, Seed = 7 },
        "penalty" => new() { MaxNewTokens = 16, RepetitionPenalty = 1.3 },
        "all" => new() { MaxNewTokens = 16, Temperature = 0.9, TopK = 20, TopP = 0.9, RepetitionPenalty = 1.1, Seed = 7 },
        _ => new() { MaxNewTokens = 16 },
    };
}
