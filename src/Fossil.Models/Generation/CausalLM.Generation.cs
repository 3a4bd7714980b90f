using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models;

// Continuing texts.
public abstract partial class CausalLM
{
    /// <summary>How tokens are chosen where nothing else is asked for: as the checkpoint says (<see cref="CausalLMConfig.Generation"/>), greedy where it does not.</summary>
    public GenerationOptions GenerationDefaults => CommonConfig.Generation?.ToOptions() ?? new GenerationOptions();

    /// <summary>
    /// Continues each prompt, all at once; every text is the one that its prompt would give alone. The model is in evaluation mode meanwhile, and then in the mode that it was in; other threads
    /// wait until the texts are done.
    /// </summary>
    /// <param name="prompts">Token ids of the prompts, of any lengths; shorter ones are padded on the left.</param>
    /// <param name="options">How to choose tokens; <see cref="GenerationDefaults"/> where null.</param>
    /// <param name="onToken">Called with the prompt's index and the token as soon as one is chosen. It must not wait for another thread that uses the model.</param>
    /// <param name="cancellation">Ends all texts where they are.</param>
    /// <returns>For each prompt the tokens after it.</returns>
    /// <exception cref="ArgumentException">There is no prompt, one is empty, or an id is not in the vocabulary.</exception>
    public IReadOnlyList<IReadOnlyList<int>> Generate(
        IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions? options = null, Action<int, int>? onToken = null, CancellationToken cancellation = default)
    {
        options ??= GenerationDefaults;
        options.Validate();
        CheckPrompts(prompts);
        var stops = (options.StopTokens ?? CommonConfig.StopTokenIds).Concat(options.AdditionalStopTokens).ToHashSet();
        var texts = prompts.Select(_ => new List<int>()).ToArray();
        var samplers = prompts.Select(prompt => new TokenSampler(options, prompt)).ToArray();
        var running = new bool[prompts.Count];
        Array.Fill(running, true);

        using var entry = ModelGuard.Of(this).Enter();
        using var modes = TrainingModes.Evaluate(this);
        using var noGrad = no_grad();
        using var cache = new KeyValueCache(CommonConfig.NumHiddenLayers);
        var (next, mask) = Pad(prompts);
        try
        {
            for (var step = 0; step < options.MaxNewTokens && running.Contains(true) && !cancellation.IsCancellationRequested; step++)
            {
                using var scope = NewDisposeScope();
                using var logits = forward(next, mask, cache, last_only: true).to(float32).cpu().contiguous();
                var chosen = new long[prompts.Count];
                for (var row = 0; row < chosen.Length; row++)
                {
                    // A finished text keeps its place in the batch and feeds any token.
                    if (!running[row]) continue;
                    var token = samplers[row].Next(RowOf(logits, row));
                    chosen[row] = token;
                    texts[row].Add(token);
                    running[row] = !stops.Contains(token);
                    onToken?.Invoke(row, token);
                }
                Replace(ref next, tensor(chosen, [chosen.Length, 1], device: next.device));
                if (mask is not null) Replace(ref mask, cat([mask, ones(chosen.Length, 1, dtype: int64, device: mask.device)], dim: 1));
            }
        }
        finally
        {
            next.Dispose();
            mask?.Dispose();
        }
        return texts;

        static void Replace(ref Tensor tensor, Tensor value)
        {
            tensor.Dispose();
            tensor = value.DetachFromDisposeScope();
        }
    }

    /// <summary>Continues one prompt, in evaluation mode; other threads wait until the text is done.</summary>
    /// <param name="prompt">Token ids.</param>
    /// <param name="options">How to choose tokens; <see cref="GenerationDefaults"/> where null.</param>
    /// <param name="onToken">Called with each token as soon as it is chosen. It must not wait for another thread that uses the model.</param>
    /// <param name="cancellation">Ends the text where it is.</param>
    /// <returns>The tokens after the prompt.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, or an id is not in the vocabulary.</exception>
    public IReadOnlyList<int> Generate(IReadOnlyList<int> prompt, GenerationOptions? options = null, Action<int>? onToken = null, CancellationToken cancellation = default) =>
        Generate([prompt], options, onToken is null ? null : (_, token) => onToken(token), cancellation)[0];

    // Where they lie: a copy of all logits a token would be large objects for the garbage collector.
    private unsafe Span<float> RowOf(Tensor logits, int row) => new((float*)NativeTensor.Data(logits) + ((long)row * CommonConfig.VocabSize), CommonConfig.VocabSize);

    private (Tensor Ids, Tensor? Mask) Pad(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        var (device, longest) = (Embedding.Rows.Device, prompts.Max(prompt => prompt.Count));
        var ids = new long[prompts.Count * longest];
        var mask = new long[ids.Length];
        for (var row = 0; row < prompts.Count; row++)
        {
            var start = (row + 1) * longest - prompts[row].Count;
            for (var i = 0; i < prompts[row].Count; i++) (ids[start + i], mask[start + i]) = (prompts[row][i], 1);
        }
        return (tensor(ids, [prompts.Count, longest], device: device).DetachFromDisposeScope(),
            mask.Contains(0) ? tensor(mask, [prompts.Count, longest], device: device).DetachFromDisposeScope() : null);
    }

    private void CheckPrompts(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        if (prompts.Count == 0) throw new ArgumentException("There is no prompt to continue.", nameof(prompts));
        for (var row = 0; row < prompts.Count; row++)
        {
            if (prompts[row].Count == 0) throw new ArgumentException($"Prompt {row} is empty: begin with a token, such as the model's bos_token_id.", nameof(prompts));
            foreach (var id in prompts[row])
            {
                if (id < 0 || id >= CommonConfig.VocabSize) throw new ArgumentException($"Prompt {row} has the token {id}, but the vocabulary has {CommonConfig.VocabSize}.", nameof(prompts));
            }
        }
    }
}
