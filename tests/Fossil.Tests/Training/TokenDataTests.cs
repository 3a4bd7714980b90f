using CsCheck;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Tests.Training;

public class TokenDataTests
{
    [Fact]
    public void TheLastSequencesCanBeHeldOut()
    {
        var data = TokenData.FromWindows(Enumerable.Range(0, 10).ToArray(), 2, "numbers");
        var (training, heldOut) = data.Split(2);
        Assert.Equal((3, 2, 3), (training.Count, heldOut.Count, training.Report.Sequences));
        using var batch = heldOut.GetBatch([0, 1]);
        Assert.Equal([6L, 7, 8, 9], batch.InputIds.data<long>().ToArray());
        Assert.NotEqual(training.Fingerprint, heldOut.Fingerprint);
        Assert.Throws<ArgumentOutOfRangeException>(() => data.Split(5));
    }

    [Fact]
    public void WindowsAreConsecutiveAndTheRestIsCounted()
    {
        var data = TokenData.FromWindows(Enumerable.Range(0, 23).ToArray(), 5, "text");
        Assert.Equal(4, data.Count);
        Assert.Equal(3, data.Report.DroppedTokens);
        using var batch = data.GetBatch([1, 3]);
        Assert.Equal([5L, 6, 7, 8, 9, 15, 16, 17, 18, 19], batch.InputIds.data<long>().ToArray());
        Assert.Equal([0L, 1, 2, 3, 5, 6, 7, 8], batch.LossPositions.data<long>().ToArray());
        Assert.Equal([6L, 7, 8, 9, 16, 17, 18, 19], batch.Targets.data<long>().ToArray());
    }

    [Fact]
    public void OnlyLearnedTokensCountAndShortExamplesArePadded()
    {
        var data = TokenData.FromExamples([new([1, 2, 3, 4], [false, false, true, true]), new([5, 6], [false, true])], 8, 99, "pairs");
        using var batch = data.GetBatch([0, 1]);
        Assert.Equal([1L, 2, 3, 4, 5, 6, 99, 99], batch.InputIds.data<long>().ToArray());
        Assert.Equal([1L, 2, 4], batch.LossPositions.data<long>().ToArray());
        Assert.Equal([3L, 4, 6], batch.Targets.data<long>().ToArray());
        Assert.Equal(6, batch.Tokens);
        Assert.Equal(3, batch.LossItems);
        Assert.Equal(1, data.Report.Padded);
    }

    [Fact]
    public void LongExamplesAreCutAndThoseWithoutAnAnswerLeftAreDropped()
    {
        var data = TokenData.FromExamples([new([1, 2, 3, 4, 5], [false, true, true, true, true]), new([1, 2, 3, 4], [false, false, false, true]), new([1, 2])], 3, 0, "mixed");
        Assert.Equal(new TokenDataReport(Examples: 3, Cut: 2, Dropped: 1, Sequences: 2, Padded: 1, Tokens: 5, LossTokens: 3, DroppedTokens: 6) { PaddingTokens = 1 }, data.Report);
    }

    [Fact]
    public void NothingToLearnIsAnError() =>
        Assert.Throws<TrainingDataException>(() => TokenData.FromExamples([new([1, 2], [true, false])], 8, 0, "file.jsonl"));

    [Fact]
    public void PackedWindowsHoldEachExampleOnceAndWhole() =>
        Gen.Int[2, 9].Array[1, 40].SampleSeeded(lengths =>
        {
            var next = 0;
            var examples = lengths.Select(length => new TokenExample(Enumerable.Range(next += length, length).ToArray())).ToList();
            var packed = TokenData.FromExamples(examples, 12, 0, "packed", pack: true);
            Assert.Equal(lengths.Sum(), packed.Report.Tokens);
            Assert.True(packed.Count <= (2 * lengths.Sum() / 12) + 1);
            Assert.Equal(lengths.Sum(length => length - 1), packed.Report.LossTokens);
            using var batch = packed.GetBatch(Enumerable.Range(0, packed.Count).ToArray());
            Assert.True(batch.InputIds.shape[1] <= 12);
            var ids = batch.InputIds.data<long>().ToArray();
            foreach (var (position, target) in batch.LossPositions.data<long>().Zip(batch.Targets.data<long>())) Assert.Equal(ids[position] + 1, target);
        }, count: 200);

    [Fact]
    public void PackingLeavesLittleRoom()
    {
        var examples = Enumerable.Range(0, 2000).Select(i => new TokenExample(Enumerable.Range(0, 2 + (i * 7919 % 199)).ToArray()));
        var report = TokenData.FromExamples(examples, 512, 0, "packed", pack: true).Report;
        Assert.Equal(2000, report.Examples);
        Assert.True(report.PaddingTokens < report.Tokens / 500, report.ToString());
    }

    [Fact]
    public void ABatchOfPackedExamplesSaysWhereEachBegins()
    {
        var packed = TokenData.FromExamples([new([1, 2, 3]), new([4, 5]), new([6, 7, 8, 9])], 7, 0, "packed", pack: true);
        using var batch = packed.GetBatch([0, 1]);
        Assert.Equal([1L, 2, 3, 6, 7, 8, 9, 4, 5, 0, 0, 0, 0, 0], batch.InputIds.data<long>().ToArray());
        Assert.Equal([0L, 0, 0, 3, 3, 3, 3, 0, 0, 2, 2, 2, 2, 2], batch.ExampleStarts!.data<long>().ToArray());
        using var single = packed.GetBatch([1]);
        Assert.Null(single.ExampleStarts);
    }

    [Fact]
    public void TheFingerprintSeesEveryTokenAndWhatIsLearned()
    {
        var fingerprints = new[]
        {
            new TokenExample[] { new([1, 2, 3]), new([4, 5]) },
            [new([1, 2, 3]), new([4, 6])],
            [new([1, 2]), new([3, 4, 5])],
            [new([4, 5]), new([1, 2, 3])],
            [new([1, 2, 3], [true, true, false]), new([4, 5])],
        }.Select(examples => TokenData.FromExamples(examples, 8, 0, "x").Fingerprint);
        Assert.Equal(5, fingerprints.Distinct().Count());
    }

    [Theory]
    [InlineData(10, 3, 1)]
    [InlineData(10, 3, 2)]
    [InlineData(8, 4, 5)]
    public void EachEpochTakesEachExampleOnceInItsOwnOrder(int examples, int batchSize, int accumulation)
    {
        var order = new DataOrder(examples, batchSize, accumulation, seed: 7, shuffle: true);
        var epochs = Enumerable.Range(0, 3)
            .Select(epoch => Enumerable.Range(0, order.StepsPerEpoch).SelectMany(step => order.Batches(epoch * order.StepsPerEpoch + step)).SelectMany(batch => batch).ToArray())
            .ToList();
        Assert.All(epochs, epoch => Assert.Equal(Enumerable.Range(0, examples), epoch.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.NotEqual(epochs[0], new DataOrder(examples, batchSize, accumulation, seed: 8, shuffle: true).Batches(0).SelectMany(batch => batch));
    }

    /// <summary>Written down: a checkpoint of today is resumed by every later version.</summary>
    [Fact]
    public void TheOrderOfASeedStaysWhatItIs() =>
        Assert.Equal([5, 1, 7, 0, 3, 4, 2, 6], new DataOrder(8, 8, 1, seed: 42, shuffle: true).Batches(0).Single());
}
