using Fossil.Models;
using static TorchSharp.torch;

/// <summary>A text as token ids, the last part of it held out.</summary>
internal sealed class Corpus(int[] train, int[] heldOut)
{
    public int[] Train => train;

    public int[] HeldOut => heldOut;

    /// <summary>Splits each file on its own, so that the held-out part is made of all of them.</summary>
    public static Corpus FromFiles(IEnumerable<string> paths, Func<string, int[]> encode, double heldOutShare)
    {
        List<int> train = [], heldOut = [];
        foreach (var path in paths.Order(StringComparer.Ordinal))
        {
            var ids = encode(File.ReadAllText(path));
            var cut = (int)(ids.Length * (1 - heldOutShare));
            train.AddRange(ids.AsSpan(0, cut));
            heldOut.AddRange(ids.AsSpan(cut));
        }
        return new Corpus([.. train], [.. heldOut]);
    }

    /// <summary>Random windows of the training part, (batch, length).</summary>
    public Tensor Sample(Random random, int batch, int length)
    {
        using var ids = tensor([.. Enumerable.Range(0, batch).SelectMany(_ => new ArraySegment<int>(Train, random.Next(Train.Length - length), length))], [batch, length]);
        return ids.to(int64);
    }

    /// <summary>
    /// Mean loss in nats a token of the held-out part, in windows of <paramref name="length"/> predictions; of at most <paramref name="maxWindows"/> windows,
    /// spread evenly over the text.
    /// </summary>
    public double HeldOutLoss(LlamaForCausalLM model, int length, int batch, int maxWindows = int.MaxValue, CancellationToken cancel = default)
    {
        using var noGrad = no_grad();
        var all = (HeldOut.Length - 1) / length;
        var windows = Math.Min(all, maxWindows);
        if (windows == 0) throw new ArgumentException($"The held-out part has {HeldOut.Length} tokens, fewer than one window of {length}.");
        double sum = 0;
        for (var first = 0; first < windows; first += batch)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var rows = Math.Min(batch, windows - first);
            // A window overlaps the next by one token, so that every token is predicted once.
            var ids = Enumerable.Range(first, rows).SelectMany(w => new ArraySegment<int>(HeldOut, (int)((long)w * all / windows) * length, length + 1));
            var window = tensor([.. ids], [rows, length + 1]).to(int64);
            sum += model.loss(window, window).item<float>() * (double)rows;
        }
        return sum / windows;
    }
}
